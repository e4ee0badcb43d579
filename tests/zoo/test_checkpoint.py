import dataclasses

import pytest

from i3d_tf.specs.protocol import Protocol
from i3d_tf.system.files import sha256
from i3d_tf.zoo import checkpoint as checkpoints
from i3d_tf.zoo.checkpoint import open_checkpoint, stream_of

FIVE = ("one", "two", "three", "four", "five")


@pytest.fixture
def row(monkeypatch):
    """What the manifest says of every name, to be changed; the networks have five classes."""

    class FiveClasses:
        name = "five"
        input_shape = (None, None, None, None, 3)
        output_shape = (None, 5)

    row = {"labels": list(FIVE)}
    monkeypatch.setattr(checkpoints, "find_weights", lambda name, directory: (__file__, row))
    monkeypatch.setattr(checkpoints, "load", lambda name, directory: FiveClasses())
    return row


def test_a_name_in_the_checkpoint_directory(tiny_dir):
    found = open_checkpoint("tiny_flow", tiny_dir)
    assert (found.name, found.stream) == ("tiny_flow", "flow")
    assert found.class_names == FIVE
    assert found.protocol == Protocol(250, 25.0, 256, 224)
    assert found.sha256 == sha256(tiny_dir / "tiny_flow.weights.h5")
    assert found.history == []
    assert found.model.output_shape == (None, 5)


def test_a_row_may_name_a_label_set_and_a_protocol(row):
    protocol = {"frames": 64, "frame_rate": 12.5}
    row |= {"protocol": protocol}
    found = open_checkpoint("any")
    assert found.protocol == dataclasses.replace(Protocol(), **protocol)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "odd has 5 classes, and its row in the manifest names 0"),
        (["one"], "odd has 5 classes, and its row in the manifest names 1"),
        ("kinetics400", "odd has 5 classes, and its row in the manifest names 400"),
        ("kinetics", "`label_set` must be one of"),
    ],
)
def test_a_row_must_name_the_classes(row, labels, message):
    row["labels"] = labels
    with pytest.raises(ValueError, match=message):
        open_checkpoint("odd")


def test_a_network_of_neither_stream(row):
    class Grey:
        name = "grey"
        input_shape = (None, None, None, None, 1)

    with pytest.raises(ValueError, match="'grey' reads 1 channels; RGB has 3, flow 2"):
        stream_of(Grey())


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        ({"speed": 1}, "odd: the `protocol` in its row of the manifest is not one .*speed"),
        ({"frames": 0}, r"`frames` must be an integer within 1\.\.65536; received 0"),
        (
            {"frame_rate": float("nan")},
            "`frame_rate` must be a number .* received nan",
        ),
        ({"crop_size": 300}, "`crop_size` must be at most `short_side`"),
        (["frames"], "is not one"),
    ],
)
def test_a_protocol_that_is_none(row, protocol, message):
    row["protocol"] = protocol
    with pytest.raises(ValueError, match=message):
        open_checkpoint("odd")


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"settings": {}}', '{"settings": {"test_frames": 9}}', "\udcff"]
)
def test_a_damaged_record_of_a_run(tmp_path, text):
    (tmp_path / "run.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    (tmp_path / "best.keras").touch()
    with pytest.raises(ValueError, match=r"run\.json: not the record of a training run"):
        open_checkpoint(tmp_path)
