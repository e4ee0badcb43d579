import json

import cv2
import keras
import pytest

from i3d_tf.explain.preferred_clips import ClipOptions
from i3d_tf.explain.visualize_units import UnitOptions, clip_shape, find_units, visualize_units
from i3d_tf.video.decode import read_clip


@pytest.fixture(scope="module")
def model():
    """A network of 2 channels at `maps`, which takes frames of any size."""
    clips = keras.Input((16, None, None, 3))
    return keras.Model(clips, keras.layers.Conv3D(2, 1, name="maps")(clips))


def test_find_units_by_index_or_class(model):
    assert find_units(model, "maps", ["1", "0"]) == {1: "maps 1", 0: "maps 0"}
    assert find_units(model, "Logits", ["run", "0"], ("jump", "run")) == {1: "run", 0: "jump"}
    for channels, message in (
        ([], "must name at least one unit"),
        (["2"], r"indices of the 2 channels of maps, 0 to 1; received '2'"),
        (["run"], "received 'run'"),
    ):
        with pytest.raises(ValueError, match=message):
            find_units(model, "maps", channels)


def test_clip_shape_is_the_networks_within_limits(model):
    given = UnitOptions("x", "y", "maps", ["0"], size=48)
    assert clip_shape(model, 250, 224, given) == (16, 48, 48, 3)
    assert clip_shape(model, 250, 224, UnitOptions("x", "y", "maps", ["0"]))[1:] == (112, 112, 3)
    with pytest.raises(ValueError, match=r"`frames` must be 16 for .*; received 9"):
        clip_shape(model, 250, 224, UnitOptions("x", "y", "maps", ["0"], frames=9))


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_visualize_units_writes_videos_a_picture_and_numbers(small_dir, tmp_path, stream):
    search = ClipOptions(steps=4, time_weights=(10, 0))
    options = UnitOptions(
        f"small_{stream}", tmp_path / "new", "Mixed_3b", ["3", "0"], small_dir, 9, 32, search
    )
    paths = visualize_units(options)
    names = ["Mixed_3b_0003.mp4", "Mixed_3b_0000.mp4", "units.png", "units.json"]
    assert [path.name for path in paths] == names
    assert read_clip(paths[0]).shape == (36, 224, 448, 3)  # two clips, four times
    assert cv2.imread(str(paths[2])).shape == (4 * 112, 6 * 112, 3)
    record = json.loads(paths[3].read_text())
    assert record["clip_shape"] == [9, 32, 32, 3 if stream == "rgb" else 2]
    assert [unit["channel"] for unit in record["units"]] == [3, 0]
    slow, fast = record["units"][0]["clips"]
    assert slow["change_between_frames"] < fast["change_between_frames"]
    visualize_units(options)  # files of its own are replaced
    paths[3].write_text("{}")
    with pytest.raises(FileExistsError, match=r"units\.json: exists already"):
        visualize_units(options)
