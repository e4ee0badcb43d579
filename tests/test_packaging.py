"""Files that an installed package holds, by setuptools' own lists."""

from setuptools import Distribution


def test_every_file_of_the_package_is_installed(repository_root, monkeypatch):
    monkeypatch.chdir(repository_root)
    keywords = {}
    monkeypatch.setattr("setuptools.setup", lambda **given: keywords.update(given))
    source = (repository_root / "setup.py").read_text("utf-8")
    exec(source, {"__file__": str(repository_root / "setup.py"), "__name__": "setup"})
    distribution = Distribution({k: keywords[k] for k in ("packages", "package_data")})
    distribution.script_name = "setup.py"
    command = distribution.get_command_obj("build_py")
    command.ensure_finalized()
    modules = {path for _, _, path in command.find_all_modules()}
    data = {f"{folder}/{name}" for _, folder, _, names in command.data_files for name in names}
    found = {
        path.relative_to(repository_root).as_posix()
        for path in (repository_root / "i3d_tf").rglob("*.*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert found == modules | data
    assert "i3d_tf/evaluation/report.css" in data
