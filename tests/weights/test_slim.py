import numpy as np
import pytest

from i3d_tf.specs import slim
from i3d_tf.specs.geometry import variable_shapes
from i3d_tf.specs.inception_v1 import I3D, INCEPTION_V1, widen
from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.slim import read_slim, slim_files

FORMATS = ["v1", "v2"]
FIRST = "InceptionV1/Conv2d_1a_7x7/weights"
BETA = "InceptionV1/Conv2d_1a_7x7/BatchNorm/beta"
BIAS = "InceptionV1/Logits/Conv2d_0c_1x1/biases"


@pytest.fixture
def values(monkeypatch, values_for):
    """Random values by TF-Slim's names, of a network a sixteenth as wide as it is."""
    rows = tuple(widen(row, 1 / 16) for row in INCEPTION_V1)
    monkeypatch.setattr(slim, "ROWS", rows)
    shapes = variable_shapes(rows, 3, slim.CLASSES)
    return values_for({slim.slim_name(path): shape for path, shape in shapes.items()})


@pytest.fixture
def write(values, write_checkpoint, write_v1_checkpoint, tmp_path):
    """Function: (format, changes of values; None removes) -> a folder with the checkpoint."""

    def write_format(kind, **changes):
        named = {name: value for name, value in (values | changes).items() if value is not None}
        if kind == "v2":
            return write_checkpoint(tmp_path / "v2", named)
        return write_v1_checkpoint(tmp_path / "v1/inception_v1.ckpt", named).parent

    return write_format


def refusal(source):
    """The message with which a checkpoint is refused, which must be a single line."""
    with pytest.raises(WeightsError) as error:
        read_slim(source)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("kind", FORMATS)
def test_read_slim_returns_every_weight_by_our_paths(write, values, kind):
    arrays = read_slim(write(kind))
    assert len(arrays) == len(values) == 230
    for ours, value in arrays.items():
        np.testing.assert_array_equal(value, values[slim.slim_name(ours)])


@pytest.mark.parametrize("kind", FORMATS)
def test_read_slim_ignores_training_state(write, values, kind):
    extra = {
        "global_step": np.int64(7),
        f"{FIRST}/Momentum": values[FIRST],
        f"{FIRST}/RMSProp": values[FIRST],
        f"{FIRST}/RMSProp_1": values[FIRST],
        f"{FIRST}/ExponentialMovingAverage": 0 * values[FIRST],
    }
    arrays = read_slim(write(kind, **extra))
    assert len(arrays) == 230
    np.testing.assert_array_equal(arrays["Conv2d_1a_7x7/conv_2d/kernel"], values[FIRST])


def test_slim_files_takes_folder_prefix_or_file(write, tmp_path):
    v1, v2 = write("v1"), write("v2")
    file = v1 / "inception_v1.ckpt"
    pair = (v2 / "model.ckpt.index", v2 / "model.ckpt.data-00000-of-00001")
    assert slim_files(v1) == slim_files(str(file)) == (file, file)
    for source in (v2, v2 / "model.ckpt", pair[0]):
        assert slim_files(source) == pair
    for part in pair:  # a training names its checkpoints by their steps
        part.rename(part.with_name(part.name.replace("ckpt", "ckpt-12")))
    assert slim_files(v2 / "model.ckpt-12").index_file.name == "model.ckpt-12.index"


def test_missing_checkpoint_names_the_address(tmp_path):
    for source in (tmp_path, tmp_path / "inception_v1.ckpt"):
        message = refusal(source)
        assert message.startswith(f"{source}: no checkpoint.")
        assert "inception_v1_2016_08_28.tar.gz to get one." in message


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({BIAS: None}, f"1 missing, 0 unknown (such as missing {BIAS})"),
        ({"InceptionV1/extra": np.zeros(1, "f")}, "unknown InceptionV1/extra"),
        ({BIAS: np.zeros(1000, "f")}, f"{BIAS} has shape (1000,); slim_inception_v1 has (1001,)"),
        ({BETA: np.zeros((2, 4), "f")}, "has shape (2, 4); slim_inception_v1 has (4,)"),
        ({BIAS: np.zeros(1001)}, f"{BIAS} is float64, not float32"),
    ],
)
def test_names_shapes_and_types_are_those_of_the_release(write, kind, changes, expected):
    assert expected in refusal(write(kind, **changes))


def test_checkpoint_of_i3d_is_refused(
    values, released_shapes, values_for, write_checkpoint, tmp_path
):
    rows = tuple(widen(row, 1 / 16) for row in I3D)
    released = values_for(released_shapes("rgb_imagenet", rows))
    message = refusal(write_checkpoint(tmp_path, released))
    assert "not the names of slim_inception_v1: 230 missing, 230 unknown" in message


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda content: b"", "the file is empty"),
        (lambda content: b"version https://git-lfs.github.com\n" * 99, "not a readable checkpoint"),
        (lambda content: content[:-5], "not a readable checkpoint"),
        (lambda content: content[: len(content) // 2], "not a readable checkpoint"),
    ],
)
def test_damaged_v1_file_is_refused(write, edit, expected):
    file = write("v1") / "inception_v1.ckpt"
    file.write_bytes(edit(file.read_bytes()))
    message = refusal(file)
    assert message.startswith(f"{file}: ")
    assert expected in message


def test_changed_bit_in_a_v1_file_is_refused(write):
    file = write("v1") / "inception_v1.ckpt"
    content = file.read_bytes()
    for place in np.linspace(0, len(content) - 100, 15).astype(int):
        changed = bytearray(content)
        changed[place] ^= 1
        file.write_bytes(changed)
        assert refusal(file)
