"""Files and requirements of an installed package, by setuptools' own lists."""

import ast
import re
import sys
from itertools import chain

import pytest
from setuptools import Distribution

# Name of a module: the distribution that brings it, where the two differ.
DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "PIL": "pillow",
    "absl": "absl-py",
    "apache_beam": "apache-beam",
    "cv2": "opencv-contrib-python-headless",
    "tensorflow_io": "tensorflow-io",
}
OF_KERAS = {"jax"}  # the other backends: who runs Keras on one has it
BROUGHT_BY = {
    "llvmlite": "numba",
    **dict.fromkeys(("anyio", "fastapi", "starlette", "uvicorn"), "gradio"),
}


@pytest.fixture(scope="module")
def keywords(repository_root):
    """What setup.py passes to setuptools."""
    given = {}
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("setuptools.setup", lambda **keywords: given.update(keywords))
        source = (repository_root / "setup.py").read_text("utf-8")
        exec(source, {"__file__": str(repository_root / "setup.py"), "__name__": "setup"})
    return given


def test_every_file_of_the_package_is_installed(keywords, repository_root, monkeypatch):
    monkeypatch.chdir(repository_root)
    distribution = Distribution(
        {key: keywords[key] for key in ("packages", "package_dir", "package_data")}
    )
    distribution.script_name = "setup.py"
    command = distribution.get_command_obj("build_py")
    command.ensure_finalized()
    modules = {path for _, _, path in command.find_all_modules()}
    data = {f"{folder}/{name}" for _, folder, _, names in command.data_files for name in names}
    found = {
        path.relative_to(repository_root).as_posix()
        for folder in ("i3d_tf", "tools")
        for path in (repository_root / folder).rglob("*.*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    shipped = {"manifest.json", "stick_actions_flow.weights.h5", "stick_actions_rgb.weights.h5"}
    assert modules | data == found | {f"checkpoints/{name}" for name in shipped}
    assert "i3d_tf/viz/page.css" in data


def test_command_starts_in_the_package_of_the_tools(keywords):
    assert keywords["entry_points"] == {"console_scripts": ["i3d = i3d_tf.tools.i3d:main"]}
    assert keywords["package_dir"]["i3d_tf.tools"] == "tools"


def test_every_imported_library_is_required(keywords, repository_root):
    extras = keywords["extras_require"]
    of_extras = (extras[name] for name in ("beam", "export", "io", "remote", "svm", "web"))
    requirements = chain(keywords["install_requires"], *of_extras)
    required = {re.match(r"[\w-]+", requirement)[0] for requirement in requirements}
    imported = set()
    for folder in ("i3d_tf", "tools"):
        for path in (repository_root / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    imported.add(node.module.partition(".")[0])
    libraries = imported - set(sys.stdlib_module_names) - {"i3d_tf", *OF_KERAS}
    libraries = {BROUGHT_BY.get(name, DISTRIBUTIONS.get(name, name)) for name in libraries}
    assert libraries <= required


def test_lowest_versions_are_those_of_make_test_oldest(keywords, repository_root):
    lines = (repository_root / "requirements-oldest.txt").read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    for requirement in keywords["install_requires"] + keywords["extras_require"]["io"][:1]:
        name, lowest = re.split(">=|==", requirement)
        assert f"{pins[name]}.".startswith(f"{lowest}."), requirement
