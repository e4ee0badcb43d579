import dataclasses

import numpy as np
import pytest

from i3d_tf.specs.inception_v1 import I3D, widen
from i3d_tf.specs.releases import RELEASES, UpstreamFile
from i3d_tf.system.files import git_blob_id
from i3d_tf.weights import sonnet
from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.sonnet import checkpoint_files, identify, read_sonnet

NARROW = tuple(widen(row, 1 / 16) for row in I3D)
RGB = RELEASES["rgb_imagenet"]
RELEASED = {
    "Conv3d_1a_7x7/conv_3d/kernel": "Conv3d_1a_7x7/conv_3d/w",
    "Mixed_4f/Branch_2/Conv3d_0b_3x3/conv_3d/kernel": "Mixed_4f/Branch_2/Conv3d_0b_3x3/conv_3d/w",
    # The one unit whose released name breaks the rule.
    "Mixed_5b/Branch_2/Conv3d_0b_3x3/conv_3d/kernel": "Mixed_5b/Branch_2/Conv3d_0a_3x3/conv_3d/w",
    "Logits/Conv3d_0c_1x1/conv_3d/bias": "Logits/Conv3d_0c_1x1/conv_3d/b",
    "Conv3d_2b_1x1/batch_norm/moving_variance": "Conv3d_2b_1x1/batch_norm/moving_variance",
}
INDEX, DATA = "model.ckpt.index", "model.ckpt.data-00000-of-00001"


@pytest.fixture
def narrow_release(monkeypatch):
    """Releases are a sixteenth as wide as they are, so that a checkpoint has under a megabyte."""
    monkeypatch.setattr(sonnet, "I3D", NARROW)


@pytest.fixture
def narrow(narrow_release, released_shapes, values_for, write_checkpoint, tmp_path):
    """Function: (release, **changes of shapes; None removes) -> a checkpoint's folder."""

    def write(name="rgb_imagenet", **changes):
        shapes = released_shapes(name, NARROW) | changes
        shapes = {key: shape for key, shape in shapes.items() if shape is not None}
        return write_checkpoint(tmp_path / name, values_for(shapes))

    return write


def flip(path, position):
    """Changes one bit of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def refusal(folder, release=RGB):
    """The message with which a checkpoint is refused, which must be a single line."""
    with pytest.raises(WeightsError) as error:
        read_sonnet(folder, release)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", RELEASES)
def test_read_sonnet_returns_every_release_by_our_paths(narrow, values_for, released_shapes, name):
    arrays = read_sonnet(narrow(name), RELEASES[name]).arrays
    assert len(arrays) == 230
    released = values_for(released_shapes(name, NARROW))
    for ours, theirs in RELEASED.items():
        expected = released[RELEASES[name].prefix + theirs]
        if "/batch_norm/" in ours:
            expected = expected.reshape(-1)
        np.testing.assert_array_equal(arrays[ours], expected)


@pytest.mark.parametrize("name", RELEASES)
def test_real_index_files_have_the_released_shapes(shared_dir, released_shapes, name):
    import tensorflow as tf

    prefix = str(shared_dir / "golden/release_index" / name / "model.ckpt")
    real = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    assert {key: tuple(shape) for key, shape in real.items()} == released_shapes(name)


@pytest.mark.parametrize("name", RELEASES)
def test_identify_recognizes_the_real_index_files(shared_dir, tmp_path, name):
    index = shared_dir / "golden/release_index" / name / INDEX
    other = tmp_path / "other"
    other.write_bytes(b"")
    assert identify(index, other) == (name, None)


def test_checkpoint_files_takes_folder_prefix_or_index_file(tmp_path):
    files = tuple(tmp_path / name for name in (INDEX, DATA))
    for file in files:
        file.write_bytes(b"x")
    for source in (tmp_path, str(tmp_path), tmp_path / "model.ckpt", files[0]):
        assert checkpoint_files(source) == files


@pytest.mark.parametrize("absent", [INDEX, DATA])
def test_read_sonnet_names_a_missing_file(narrow, absent):
    folder = narrow()
    (folder / absent).unlink()
    assert f"{absent}: no such file. `source` must be a folder with" in refusal(folder)


@pytest.mark.parametrize("empty", [INDEX, DATA])
def test_read_sonnet_names_an_empty_file(narrow, empty):
    folder = narrow()
    (folder / empty).write_bytes(b"")
    assert refusal(folder) == f"{folder / empty}: the file is empty."


def test_truncated_data_is_refused(narrow):
    folder = narrow()
    content = (folder / DATA).read_bytes()
    (folder / DATA).write_bytes(content[:-1])
    assert f"{DATA}: truncated: {len(content) - 1:,} bytes" in refusal(folder)


@pytest.mark.parametrize("kept", [1, 40, 0.5, 0.999])
def test_truncated_index_is_refused(narrow, kept):
    folder = narrow()
    content = (folder / INDEX).read_bytes()
    length = kept if isinstance(kept, int) else int(len(content) * kept)
    (folder / INDEX).write_bytes(content[:length])
    assert f"{INDEX}: not a readable checkpoint index" in refusal(folder)


def test_text_in_place_of_an_index_is_refused(narrow):
    folder = narrow()
    (folder / INDEX).write_text("version https://git-lfs.github.com/spec/v1\n" * 3)
    assert "not a readable checkpoint index" in refusal(folder)


@pytest.mark.parametrize("place", [0, 0.3, 0.7, 0.9999])
def test_changed_bit_in_the_data_is_refused(narrow, place):
    folder = narrow()
    flip(folder / DATA, int((folder / DATA).stat().st_size * place))
    message = refusal(folder)
    assert message.startswith(f"{folder / DATA}: RGB/inception_i3d/")
    assert "cannot be read: corrupt" in message


@pytest.mark.parametrize("place", [0, 0.3, 0.7])
def test_changed_bit_in_the_index_is_refused(narrow, place):
    folder = narrow()
    flip(folder / INDEX, int((folder / INDEX).stat().st_size * place))
    assert f"{INDEX}: not a readable checkpoint index" in refusal(folder)


def test_flow_release_is_not_read_as_rgb(narrow):
    message = refusal(narrow("flow_imagenet"))
    assert "these are not the names of rgb_imagenet: 230 missing, 230 unknown" in message


def test_600_classes_are_not_read_as_400(narrow):
    folder = narrow("rgb_scratch_kin600")
    assert "names of rgb_scratch: 230 missing" in refusal(folder, RELEASES["rgb_scratch"])


@pytest.mark.parametrize("which", ["index", "data"])
def test_published_file_of_another_release_is_refused(narrow, monkeypatch, which):
    folder = narrow()
    # rgb_scratch has the same names and shapes: only its bytes tell it from rgb_imagenet.
    file = folder / {"index": INDEX, "data": DATA}[which]
    release = RELEASES["rgb_scratch"]
    published = getattr(release, which).__class__(file.name, None, git_blob_id(file))
    twin = release.__class__(**{**vars(release), which: published})
    monkeypatch.setitem(sonnet.RELEASES, "rgb_scratch", twin)
    assert refusal(folder) == (
        f"{file}: this is rgb_scratch, not rgb_imagenet. Use --release=rgb_scratch."
    )
    assert not read_sonnet(folder, twin).is_published  # the other file is unknown


def test_published_files_are_marked(narrow, monkeypatch):
    folder = narrow()
    published = dataclasses.replace(
        RGB,
        index=UpstreamFile(INDEX, None, git_blob_id(folder / INDEX)),
        data=UpstreamFile(DATA, None, git_blob_id(folder / DATA)),
    )
    monkeypatch.setitem(sonnet.RELEASES, "rgb_imagenet", published)
    found = read_sonnet(folder, published)
    assert found.is_published
    assert found.files == (folder / INDEX, folder / DATA)
    assert len(found.arrays) == 230


BIAS = "RGB/inception_i3d/Logits/Conv3d_0c_1x1/conv_3d/b"
BETA = "RGB/inception_i3d/Conv3d_1a_7x7/batch_norm/beta"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({BIAS: None}, f"1 missing, 0 unknown (such as missing {BIAS})"),
        ({"RGB/extra": (1,)}, "0 missing, 1 unknown (such as unknown RGB/extra)"),
        # Slots are training state in one release only; elsewhere they are unknown names.
        ({f"{BIAS}/Momentum": (400,)}, "0 missing, 1 unknown"),
        ({BIAS: (399,)}, f"{BIAS} has shape (399,); rgb_imagenet has (400,)"),
        ({BETA: (1, 1, 1, 1, 3)}, "has shape (1, 1, 1, 1, 3); rgb_imagenet has (4,)"),
        ({BETA: (2, 4)}, "has shape (2, 4); rgb_imagenet has (4,)"),
    ],
)
def test_names_and_shapes_are_those_of_the_release(narrow, changes, expected):
    folder = narrow(**changes)
    message = refusal(folder)
    assert message.startswith(str(folder / INDEX))
    assert expected in message


def test_batch_norm_variables_may_have_five_axes(narrow):
    folder = narrow(**{BETA: (1, 1, 1, 1, 4)})
    assert read_sonnet(folder, RGB).arrays["Conv3d_1a_7x7/batch_norm/beta"].shape == (4,)


def test_values_of_another_type_are_refused(
    narrow_release, released_shapes, values_for, write_checkpoint, tmp_path
):
    values = values_for(released_shapes("rgb_imagenet", NARROW))
    values[BIAS] = values[BIAS].astype(np.float64)
    folder = write_checkpoint(tmp_path, values)
    assert refusal(folder) == f"{folder / DATA}: {BIAS} is float64, not float32."


def test_values_that_are_not_finite_are_refused(
    narrow_release, released_shapes, values_for, write_checkpoint, tmp_path
):
    values = values_for(released_shapes("rgb_imagenet", NARROW))
    values[BIAS][0] = np.nan
    folder = write_checkpoint(tmp_path, values)
    assert refusal(folder).startswith(
        f"{folder / DATA}: Logits/Conv3d_0c_1x1/conv_3d/bias has values"
    )


@pytest.mark.parametrize("error", [IndexError("list index out of range"), MemoryError()])
def test_index_that_breaks_its_reader_is_refused(narrow, monkeypatch, error):
    def fail(prefix):
        raise error

    monkeypatch.setattr("tensorflow.train.load_checkpoint", fail)
    assert f"{INDEX}: not a readable checkpoint index" in refusal(narrow())
