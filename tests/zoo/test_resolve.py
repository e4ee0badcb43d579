import pytest

from i3d_tf.system.files import sha256
from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.store import MANIFEST, save_weights
from i3d_tf.zoo import resolve as resolve_module
from i3d_tf.zoo.resolve import (
    KERAS_FILE,
    NAME,
    RUN,
    WEIGHTS_FILE,
    checkpoint_dirs,
    resolve,
    shipped_checkpoint_dir,
)


class Words:
    """Stands in for a Keras model whose weights file is a few words."""

    variables = ()

    def save_weights(self, path):
        path.write_text("named words")


@pytest.fixture
def folder(tmp_path):
    """A checkpoint directory with the name `v1.2`, files of both kinds, and the run `run`."""
    save_weights(Words(), "v1.2", tmp_path, {"classes": 7})
    (tmp_path / "run").mkdir()
    (tmp_path / "run/run.json").write_text("{}")
    (tmp_path / "run/best.keras").write_text("best words")
    (tmp_path / "some.keras").write_text("words")
    (tmp_path / "some.weights.h5").write_text("other words")
    return tmp_path


@pytest.mark.parametrize(
    ("reference", "path", "kind"),
    [
        ("run", "run/best.keras", RUN),
        ("run/best.keras", "run/best.keras", KERAS_FILE),
        ("some.keras", "some.keras", KERAS_FILE),
        ("some.weights.h5", "some.weights.h5", WEIGHTS_FILE),
    ],
)
def test_resolve_returns_the_file_of_a_path(folder, reference, path, kind):
    for given in (folder / reference, str(folder / reference)):
        found = resolve(given, folder / "elsewhere")
        assert (found.path, found.kind, found.row) == (folder / path, kind, {})
        assert found.reference == str(given)
        assert found.sha256 == sha256(folder / path)
        assert found.run_file == (folder / path).with_name("run.json")


def test_resolve_returns_the_file_and_row_of_a_name(folder):
    found = resolve("v1.2", folder)
    assert (found.path, found.kind) == (folder / "v1.2.weights.h5", NAME)
    assert found.row["classes"] == 7
    assert found.sha256 == sha256(found.path)


@pytest.mark.parametrize(
    ("reference", "file", "manifests"),
    [("v1.2", "v1.2.weights.h5", 1), ("run", "run/best.keras", 0)],
)
def test_file_is_hashed_once(folder, count_opened_files, monkeypatch, reference, file, manifests):
    monkeypatch.chdir(folder)
    with count_opened_files() as opened:
        found = resolve(reference, folder)
        assert found.sha256 == found.sha256
    assert opened[str(found.path)] == 1
    assert opened[str(folder / MANIFEST)] == manifests
    assert found.path.samefile(folder / file)


def test_path_of_a_kind_that_is_not_allowed_is_a_name(folder, monkeypatch):
    monkeypatch.chdir(folder)
    save_weights(Words(), "run", folder, {})
    assert resolve("run", folder).kind == RUN
    assert resolve("run", folder, (KERAS_FILE, WEIGHTS_FILE)).kind == NAME
    with pytest.raises(FileNotFoundError, match=r"No weights named 'some\.keras' in"):
        resolve("some.keras", folder, ())


@pytest.mark.parametrize("name", ["rgb", "../rgb", "", 5, "run/../rgb"])
def test_unknown_name_lists_the_known_ones(folder, name):
    with pytest.raises(FileNotFoundError, match=r"No weights named '.*_rgb, v1\.2\)\. The rel"):
        resolve(name, folder, (KERAS_FILE,))


@pytest.mark.parametrize("reference", ["model.h5", "model.ckpt", "a/b.npz", "x.keras.zip"])
def test_file_of_another_kind_is_refused(folder, reference):
    with pytest.raises(
        ValueError,
        match=r"^Weights must be a known name \(such as rgb_imagenet\), the folder of a training "
        r"run, a \.keras file or a \.weights\.h5 file; received '",
    ):
        resolve(reference, folder)
    with pytest.raises(ValueError, match=r"\(such as rgb_imagenet\) or a \.keras file; received"):
        resolve(reference, folder, (KERAS_FILE,))


def test_resolve_names_a_missing_file(folder):
    (folder / "run/best.keras").unlink()
    for reference, message in (
        ("none.keras", r"none\.keras: no such file\."),
        ("none.weights.h5", r"none\.weights\.h5: no such file\."),
        ("run", r"run/best\.keras: no such file\. The run has not evaluated yet\."),
    ):
        with pytest.raises(FileNotFoundError, match=message):
            resolve(folder / reference, folder)


def test_changed_file_of_a_name_is_refused(folder):
    (folder / "v1.2.weights.h5").write_text("other words")
    with pytest.raises(WeightsError, match=r"its SHA-256 differs"):
        resolve("v1.2", folder)


@pytest.fixture
def places(tmp_path, monkeypatch):
    """The three places of names: given, in the cache, shipped. The working directory is another."""
    monkeypatch.setenv("I3D_TF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(resolve_module, "shipped_checkpoint_dir", lambda: tmp_path / "shipped")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "given", tmp_path / "home/checkpoints", tmp_path / "shipped"


def test_resolve_takes_the_first_place_that_has_the_name(places):
    for place in reversed(places):
        save_weights(Words(), "mine", place, {"place": place.name})
        assert resolve("mine", places[0]).row["place"] == place.name
    assert resolve("mine").row["place"] == "checkpoints"
    (places[0] / "mine.weights.h5").unlink()
    assert resolve("mine", places[0]).row["place"] == "checkpoints"


@pytest.mark.parametrize("damaged", [0, 1])
def test_damaged_file_of_an_earlier_place_is_an_error(places, damaged):
    for place in places:
        save_weights(Words(), "mine", place, {})
    if damaged:
        (places[0] / "mine.weights.h5").unlink()
    (places[damaged] / "mine.weights.h5").write_text("other words")
    with pytest.raises(WeightsError, match=f"{places[damaged]}.*its SHA-256 differs"):
        resolve("mine", places[0])
    (places[0] / MANIFEST).write_text("{")
    with pytest.raises(WeightsError, match=f"{places[0]}.*not a manifest"):
        resolve("mine", places[0])


def test_release_that_is_nowhere_is_not_downloaded_offline(places):
    given, cache, shipped = places
    with pytest.raises(FileNotFoundError) as error:
        resolve("rgb_scratch", given)
    assert str(error.value) == (
        f"rgb_scratch: not in {given}, {cache} or {shipped}, and I3D_TF_OFFLINE forbids downloads. "
        "Unset it for one run, or give --checkpoint_dir=FOLDER with the converted weights."
    )


def test_missing_slim_network_names_the_command(places):
    with pytest.raises(
        FileNotFoundError, match=r"--release=slim_inception_v1 --inflate --source=FOLDER$"
    ):
        resolve("slim_inception_v1_inflated_rgb")


def test_shipped_checkpoint_dir_is_that_of_the_source_tree_or_package(
    repository_root, tmp_path, monkeypatch
):
    assert shipped_checkpoint_dir() == repository_root / "checkpoints"
    package = tmp_path / "site-packages/i3d_tf"
    monkeypatch.setattr(resolve_module, "_PACKAGE", package)
    # A folder of that name beside an installed package is somebody else's.
    save_weights(Words(), "other", tmp_path / "site-packages/checkpoints", {})
    assert shipped_checkpoint_dir() == package / "checkpoints"
    assert checkpoint_dirs("given")[0].name == "given"
    assert checkpoint_dirs()[-1] == package / "checkpoints"


def test_shipped_networks_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve("stick_actions_rgb").row["stream"] == "rgb"
