import dataclasses
import json
from types import SimpleNamespace

import pytest

from i3d_tf.specs.protocol import Protocol
from i3d_tf.specs.recipes import RECIPES
from i3d_tf.system.files import sha256
from i3d_tf.weights.store import MANIFEST
from i3d_tf.zoo import checkpoint as checkpoint_module
from i3d_tf.zoo import open_checkpoint, open_checkpoints
from i3d_tf.zoo.checkpoint import (
    Checkpoint,
    check_sees_persons,
    find_stream,
    references_by_stream,
    stream_of,
)
from i3d_tf.zoo.resolve import NAME, ResolvedWeights

FIVE = ("one", "two", "three", "four", "five")


@pytest.fixture
def five_classes(monkeypatch):
    """Any weights are those of an RGB network of five classes."""
    model = SimpleNamespace(
        name="five", input_shape=(None, None, None, None, 3), output_shape=(None, 5)
    )
    monkeypatch.setattr(checkpoint_module, "load_network", lambda weights: model)
    return model


@pytest.fixture
def row(monkeypatch, five_classes):
    """The manifest's row of every name."""
    row = {"labels": list(FIVE), "sha256": "0"}
    monkeypatch.setattr(
        checkpoint_module,
        "resolve",
        lambda name, *_: ResolvedWeights(str(name), __file__, NAME, row),
    )
    return row


def test_open_checkpoint_reads_a_named_network_once(tiny_dir, count_opened_files):
    with count_opened_files() as opened:
        found = open_checkpoint("tiny_flow", tiny_dir)
    path = tiny_dir / "tiny_flow.weights.h5"  # HDF5 opens it for itself, once more
    assert (opened[str(path)], opened[str(tiny_dir / MANIFEST)]) == (1, 1)
    assert (found.name, found.stream) == ("tiny_flow", "flow")
    assert found.class_names == FIVE
    assert found.protocol == Protocol(250, 25.0, 256, 224)
    assert found.sha256 == sha256(path)
    assert found.history == []
    assert found.width_multiplier == 1 / 16
    assert found.model.output_shape == (None, 5)
    assert found.model.name == "tiny_flow"
    assert found.precision == "float32"


def test_row_of_the_manifest_has_a_protocol(row):
    protocol = {"frames": 64, "frame_rate": 12.5}
    row["protocol"] = protocol
    assert open_checkpoint("any").protocol == dataclasses.replace(Protocol(), **protocol)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "odd: it has 5 classes, and its row in the manifest names 0"),
        (["one"], "odd: it has 5 classes, and its row in the manifest names 1"),
        ("kinetics400", "odd: it has 5 classes, and its row in the manifest names 400"),
        ("kinetics", "`label_set` must be one of"),
    ],
)
def test_row_of_the_manifest_must_name_the_classes(row, labels, message):
    row["labels"] = labels
    with pytest.raises(ValueError, match=message):
        open_checkpoint("odd")


@pytest.mark.parametrize(
    ("protocol", "reason"),
    [({"speed": 1}, "speed"), ({"frames": 0}, "frames"), (["frames"], "mapping")],
)
def test_invalid_protocol_in_the_manifest(row, protocol, reason):
    row["protocol"] = protocol
    with pytest.raises(
        ValueError, match=f"odd: the `protocol` in its row .* is invalid \\(.*{reason}"
    ):
        open_checkpoint("odd")


def test_stream_of_two_inputs_is_joint():
    shape = {"rgb": (None, 9, 32, 32, 3), "flow": (None, 9, 32, 32, 2)}
    assert stream_of(SimpleNamespace(input_shape=shape)) == "joint"


def test_references_by_stream_are_those_that_were_named():
    found = references_by_stream(None, {"rgb": "a", "flow": None})
    assert found == {"rgb": "a"}
    with pytest.raises(ValueError, match="Give --checkpoint, or --rgb_checkpoint and --flow_check"):
        references_by_stream(None, {"rgb": None, "flow": None})


def test_network_on_persons_is_told_by_its_boxes():
    clip, boxes = (None, None, None, None, 2), (None, None, 4)
    for shape in ({"clip": clip, "boxes": boxes}, [boxes, clip]):  # a loaded one has a list
        model = SimpleNamespace(input_shape=shape)
        assert stream_of(model) == "flow"
        check_sees_persons("run", model, True)
        with pytest.raises(ValueError, match="run: it looks at persons in boxes, and not at whole"):
            check_sees_persons("run", model, False)
    with pytest.raises(ValueError, match="it looks at whole clips, and not at persons in boxes"):
        check_sees_persons("run", SimpleNamespace(input_shape=clip), True)


def test_stream_of_other_channels_is_an_error():
    model = SimpleNamespace(name="grey", input_shape=(None, None, None, None, 1))
    with pytest.raises(ValueError, match="'grey' reads 1 channels; RGB has 3, flow 2"):
        stream_of(model)


@pytest.fixture
def run(tmp_path, five_classes):
    """The folder of a training run of five classes."""
    settings = dataclasses.asdict(RECIPES["stick_actions"])
    run = {"settings": settings, "class_names": FIVE}
    (tmp_path / "run.json").write_text(json.dumps(run))
    (tmp_path / "best.keras").write_bytes(b"weights")
    return tmp_path


def test_open_checkpoint_reads_the_metadata_of_a_run(run):
    (run / "history.jsonl").write_text('{"step": 1}\n{"step": 2}\n')
    for reference in (run, run / "best.keras"):
        found = open_checkpoint(reference)
        assert found.name == str(reference)
        assert found.class_names == FIVE
        assert found.protocol == RECIPES["stick_actions"].protocol
        assert found.history == [{"step": 1}, {"step": 2}]
        assert found.width_multiplier == 0.25
        assert found.sha256 == sha256(run / "best.keras")


def test_keras_file_outside_a_run_has_no_metadata(run):
    (run / "run.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"run\.json: no such file\. best\.keras must be"):
        open_checkpoint(run / "best.keras")


def test_run_of_other_classes(run, five_classes):
    five_classes.output_shape = (None, 4)
    with pytest.raises(ValueError, match=r"it has 4 classes, and .*run\.json names 5"):
        open_checkpoint(run)


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"settings": {}}', '{"settings": {"test_frames": 9}}', "\udcff"]
)
def test_damaged_settings_of_a_run(tmp_path, text):
    (tmp_path / "run.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    (tmp_path / "best.keras").touch()
    with pytest.raises(ValueError, match=r"run\.json: not the settings of a training run"):
        open_checkpoint(tmp_path)


@pytest.fixture
def known(monkeypatch):
    """Reference -> checkpoint, for `open_checkpoint`: "rgb", "flow" and "joint" fit together."""
    known = {
        stream: Checkpoint(stream, object(), stream, FIVE, Protocol(), "0")
        for stream in ("rgb", "flow", "joint")
    }
    monkeypatch.setattr(checkpoint_module, "open_checkpoint", lambda name, *_, **__: known[name])
    return known


def change(known, name, **changes):
    known[name] = dataclasses.replace(known[name], **changes)


def test_open_checkpoints_returns_networks_that_fit_together(known):
    for streams in (("rgb", "flow"), ("flow",), ("joint",)):
        found = open_checkpoints({stream: stream for stream in streams})
        assert found.by_stream == {stream: known[stream] for stream in streams}
        assert (found.class_names, found.protocol) == (FIVE, Protocol())


def test_open_checkpoints_compares_streams(known):
    with pytest.raises(ValueError, match=r"joint: is for joint, not for flow\. Name a network for"):
        open_checkpoints({"rgb": "rgb", "flow": "joint"})
    with pytest.raises(ValueError, match="`references` must name at least one network"):
        open_checkpoints({})


def test_open_checkpoints_compares_classes(known):
    change(known, "flow", class_names=FIVE[::-1])
    both = {"rgb": "rgb", "flow": "flow"}
    with pytest.raises(ValueError, match="rgb and flow do not have the same classes"):
        open_checkpoints(both)
    assert open_checkpoints(both, same_classes=False).class_names == FIVE


def test_open_checkpoints_compares_protocols(known):
    change(known, "flow", protocol=Protocol(frames=64, crop_size=112))
    both = {"rgb": "rgb", "flow": "flow"}
    message = "rgb and flow do not have the same protocol: frames 250 and 64, crop_size 224 and 112"
    with pytest.raises(ValueError, match=rf"{message}\. Name networks"):
        open_checkpoints(both)
    with pytest.raises(ValueError, match=rf"{message}\. Give --frames and --crop_size\."):
        open_checkpoints(both, protocol_overrides={})
    with pytest.raises(ValueError, match="protocol: crop_size 224 and 112"):
        open_checkpoints(both, protocol_fields=("frame_rate", "crop_size"))
    assert open_checkpoints(both, protocol_fields=("frame_rate",)).protocol == Protocol()


def test_open_checkpoints_takes_the_direction_of_the_flow_network(known):
    both_ways = Protocol(flow_direction="both")
    change(known, "flow", protocol=both_ways)
    assert open_checkpoints({"rgb": "rgb", "flow": "flow"}).protocol == both_ways
    change(known, "flow", protocol=Protocol(frames=64, flow_direction="both"))
    with pytest.raises(ValueError, match=r"protocol: frames 250 and 64\. Name"):
        open_checkpoints({"rgb": "rgb", "flow": "flow"})


def test_open_checkpoints_overrides_protocols(known):
    change(known, "flow", protocol=Protocol(frames=64))
    both = {"rgb": "rgb", "flow": "flow"}
    found = open_checkpoints(both, protocol_overrides={"frames": 32, "windows": 4})
    assert found.protocol == Protocol(frames=32, windows=4)
    with pytest.raises(ValueError, match="`frames` must be an integer"):
        open_checkpoints(both, protocol_overrides={"frames": 0})


def test_find_stream_reads_the_metadata(run, row):
    row["stream"] = "flow"
    assert find_stream("any") == "flow"
    del row["stream"]
    assert find_stream("any") == "rgb"  # by the channels of `five_classes`


def test_find_stream_of_a_run(run):
    record = json.loads((run / "run.json").read_text())
    for stream, found in (("flow", "flow"), ("joint", "joint"), ("sideways", "rgb"), (None, "rgb")):
        record["settings"]["stream"] = stream
        (run / "run.json").write_text(json.dumps(record))
        assert find_stream(run) == found
    (run / "run.json").unlink()
    assert find_stream(run / "best.keras") == "rgb"


def test_open_checkpoint_reads_the_split_of_a_run(run):
    assert open_checkpoint(run).split == {}
    record = json.loads((run / "run.json").read_text())
    record["split"] = {"train": ["a/1.mp4"], "test": ["a/2.mp4"]}
    (run / "run.json").write_text(json.dumps(record))
    assert open_checkpoint(run).split == record["split"]
    record["split"] = {"train": ["a/1.mp4"]}
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"run\.json: not the settings .*'test' is missing"):
        open_checkpoint(run)


def test_open_checkpoint_reads_the_chosen_head_of_a_run(run, five_classes, monkeypatch):
    record = json.loads((run / "run.json").read_text())
    record["heads"] = {
        "a": {"class_names": FIVE},
        "b": {"class_names": ["x", "y"], "split": {"train": ["x/1.mp4"], "test": ["y/1.mp4"]}},
    }
    (run / "run.json").write_text(json.dumps(record))
    row = {"step": 2, "test_accuracy": 0.5, "heads": {"b": {"test_accuracy": 0.25}}}
    (run / "history.jsonl").write_text(json.dumps(row) + "\n")
    chosen = []

    def select(model, head):
        chosen.append(head)
        shape = model.input_shape
        return SimpleNamespace(name="both", input_shape=shape, output_shape=(None, 2))

    five_classes.output = {"a": None, "b": None}
    monkeypatch.setattr(checkpoint_module, "select_head", select)
    found = open_checkpoint(run, head="b")
    assert (found.head, found.class_names, chosen) == ("b", ("x", "y"), ["b"])
    assert found.history == [{"step": 2, "test_accuracy": 0.25}]
    assert found.split == record["heads"]["b"]["split"]
    with pytest.raises(ValueError, match="it has the heads a and b"):
        open_checkpoint(run)
    record["heads"]["b"] = {"class_names": 3}
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"run\.json: not the settings of a training run"):
        open_checkpoint(run, head="b")


def test_head_of_networks_with_one_is_refused(known):
    with pytest.raises(ValueError, match=r"rgb: it has one head\. Leave out --head=a\."):
        open_checkpoints({"rgb": "rgb"}, head="a")
    change(known, "flow", head="a")
    assert open_checkpoints({"rgb": "rgb", "flow": "flow"}, head="a").class_names == FIVE
