import hashlib
import json

import pytest

from i3d_tf.flow.dis_opencv import DISParameters
from i3d_tf.flow.metadata import DECISIVE_FIELDS, flow_metadata, metadata_difference, metadata_fault
from i3d_tf.flow.tvl1 import FAST


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"abc")
    return path


def test_flow_metadata_of_tvl1_has_all_parameters(video):
    metadata = flow_metadata(video, "opencv", "fast", frame_rate=30, short_side=128)
    assert (metadata["algorithm"], metadata["engine"]) == ("TV-L1", "opencv")
    assert metadata["parameters"] == {
        "tau": 0.25,
        "lambda_": 0.15,
        "theta": 0.3,
        "scales": 5,
        "scale_step": 0.8,
        "warps": FAST.warps,
        "epsilon": 0.01,
        "inner_iterations": 30,
        "outer_iterations": 10,
        "median": 5,
    }
    assert (metadata["frame_rate"], metadata["short_side"]) == (30.0, 128)
    assert metadata["source"] == {
        "name": "clip.mp4",
        "bytes": 3,
        "digest": hashlib.sha256(video.read_bytes()).hexdigest(),
    }


def test_flow_metadata_of_dis_names_dis(video):
    metadata = flow_metadata(video, "dis")
    assert (metadata["algorithm"], metadata["engine"]) == ("DIS", "dis")
    assert metadata["parameters"] == {"preset": "medium"}


def test_flow_metadata_of_auto_names_chosen_engine(video):
    assert flow_metadata(video)["engine"] in ("numba", "graph", "opencv")
    assert flow_metadata(video)["algorithm"] == "TV-L1"


def test_flow_metadata_of_remote_video_has_no_size():
    assert flow_metadata("memory://a/clip.mp4", "dis")["source"] == {
        "name": "clip.mp4",
        "bytes": None,
    }


def test_flow_metadata_survives_json(video):
    metadata = flow_metadata(video, "opencv")
    assert metadata_fault(metadata, complete=False) is None
    assert metadata_fault(metadata) == "`frames` is missing from its description"
    assert metadata_difference(json.loads(json.dumps(metadata)), metadata) is None


def test_metadata_difference_sees_every_decisive_field(video):
    metadata = flow_metadata(video, "dis")
    for field in DECISIVE_FIELDS:
        other = "something else"
        assert metadata_difference(metadata | {field: other}, metadata).startswith(
            f"{field} something else"
        )
    assert metadata_difference(metadata | {"project_version": "0.0.9"}, metadata) is None


def test_metadata_difference_names_values(video):
    metadata = flow_metadata(video, "dis")
    fast = flow_metadata(video, "dis", DISParameters("fast"))
    assert metadata_difference(fast, metadata) == "parameters: preset fast, not medium"
    video.write_bytes(b"abcd")
    grown = flow_metadata(video, "dis")
    assert metadata_difference(metadata, grown) == "source: bytes 3, not 4"
    tvl1 = flow_metadata(video, "opencv")
    assert metadata_difference(grown, tvl1) == "algorithm DIS, not TV-L1"
    extra = metadata | {"parameters": {"preset": "medium", "zoom": 2}}
    assert metadata_difference(extra, metadata) == "parameters: zoom 2, not None"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame_rate": 0.0}, "`frame_rate` must be a number > 0; it is 0.0"),
        ({"short_side": 0}, "`short_side` must be a size or null; it is 0"),
        ({"short_side": 2.5}, "`short_side` must be a size or null; it is 2.5"),
        (
            {"rounding": ["nearest"]},
            "`rounding` must be one of ('nearest', 'floor', 'deepmind'); it is ['nea",
        ),
        ({"engine": "x", "parameters": "y" * 200}, f"object; it is '{'y' * 76}..."),
    ],
)
def test_metadata_fault_names_field_and_value(video, changes, message):
    assert message in metadata_fault(flow_metadata(video, "dis") | changes, complete=False)


def test_flow_metadata_of_empty_video_has_size(video):
    video.write_bytes(b"")
    metadata = flow_metadata(video, "dis")
    assert metadata["source"]["bytes"] == 0
    assert metadata_fault(metadata, complete=False) is None


def test_metadata_fault_accepts_no_short_side(video):
    assert metadata_fault(flow_metadata(video, "dis", short_side=None), complete=False) is None
