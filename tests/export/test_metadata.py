import json

import pytest

from i3d_tf.export.metadata import (
    describe_preprocessing,
    export_metadata,
    metadata_text,
    read_saved_model_metadata,
)
from i3d_tf.specs.protocol import Protocol
from i3d_tf.zoo.checkpoint import Checkpoint

PROTOCOL = Protocol(frames=16, short_side=96, crop_size=80)


def checkpoint(stream):
    return Checkpoint(f"my_{stream}", None, stream, ("run", "jump"), PROTOCOL, f"hash {stream}")


@pytest.mark.parametrize(
    ("streams", "stream"), [(["rgb"], "rgb"), (["joint"], "joint"), (["rgb", "flow"], "joint")]
)
def test_export_metadata_names_sources_classes_and_protocol(streams, stream):
    metadata = export_metadata({s: checkpoint(s) for s in streams}, "saved_model", "float32")
    assert json.loads(metadata_text(metadata)) == metadata
    assert metadata.pop("preprocessing") == describe_preprocessing(stream, PROTOCOL)
    assert metadata.pop("made_by").startswith("i3d_tf ")
    assert metadata == {
        "format": "saved_model",
        "stream": stream,
        "sources": {s: {"name": f"my_{s}", "sha256": f"hash {s}"} for s in streams},
        "class_names": ["run", "jump"],
        "protocol": {
            "frames": 16,
            "frame_rate": 25.0,
            "short_side": 96,
            "crop_size": 80,
            "windows": 1,
            "crops": 1,
            "rgb_step": 1,
            "segments": 1,
            "crop_set": "spread",
        },
        "precision": "float32",
    }


def test_describe_preprocessing_of_one_window():
    assert describe_preprocessing("rgb", PROTOCOL) == {
        "frames": "the first 16 at 25 per second; fewer are looped from the start",
        "resize": "short side 96, bilinear at half-pixel centres without antialiasing, rounded to "
        "8 bits",
        "crop": "80 x 80, centre",
        "rgb": "value / 127.5 - 1",
    }


def test_describe_preprocessing_of_several_windows_and_sparse_rgb():
    steps = describe_preprocessing("joint", Protocol(frames=10, windows=3, rgb_step=5))
    assert steps["frames"].startswith("3 windows of 10, spread evenly, whose logits are averaged,")
    assert steps["rgb"].endswith("of the middle one of every 5 frames")
    assert "truncated at +-20, / 20" in steps["flow"]
    assert "rgb" not in describe_preprocessing("flow", PROTOCOL)


@pytest.fixture
def export(tmp_path):
    """Function: changed values of export.json -> the folder of an export without a network."""

    def write(**changes):
        metadata = export_metadata({"rgb": checkpoint("rgb")}, "saved_model", "float32")
        (tmp_path / "export.json").write_text(metadata_text({**metadata, **changes}))
        (tmp_path / "saved_model.pb").touch()
        return tmp_path

    return write


def test_read_saved_model_metadata_returns_what_was_written(export):
    found = read_saved_model_metadata(export())
    assert (found.stream, found.class_names, found.protocol) == ("rgb", ("run", "jump"), PROTOCOL)


@pytest.mark.parametrize(
    "change",
    [
        {"class_names": 5},
        {"class_names": "ab"},
        {"class_names": [{}]},
        {"stream": ["rgb"]},
        {"stream": "sound"},
        {"format": 5},
        {"protocol": []},
        {"protocol": {"frames": "16"}},
    ],
)
def test_read_saved_model_metadata_checks_the_kinds_of_values(export, change):
    with pytest.raises(
        ValueError, match=r"export\.json: not the metadata of an export \(.+\)\. Make"
    ):
        read_saved_model_metadata(export(**change))
