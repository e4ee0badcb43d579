import json
from pathlib import Path

import numpy as np
import pytest

from i3d_tf.data.feature_file import VideoFeatures, is_feature_file, read_features
from i3d_tf.features.file_layout import (
    FileLayout,
    check_set,
    set_fault,
    settings_layout,
    write_feature_set,
)
from i3d_tf.specs.feature_profiles import resolve_settings

FILES = {
    "thumos14": ["run/a.npy"],
    "activitynet": ["run/v_a.npy"],
    "video_features": [
        *("run/a_rgb.npy", "run/a_flow.npy", "run/a_fps.npy", "run/a_timestamps_ms.npy"),
    ],
    "charades": ["run/a.npy"],
    "ucf_crime": [f"run/a__{k}.npy" for k in range(10)],
    "xd_violence": [f"{folder}/run/a__{k}.npy" for folder in ("RGB", "Flow") for k in range(5)],
    "bsl1k": ["run/a.npy"],
}


def layout_of(profile, **given):
    return settings_layout(resolve_settings(profile, given)[0])


def features_of(layout, rows=2):
    """Features whose values are 100 row + 10 crop + channel: two channels of RGB, one of flow."""
    crops = layout.crops
    values = np.arange(rows)[:, np.newaxis, np.newaxis] * 100.0
    values = values + np.arange(crops)[:, np.newaxis] * 10 + np.arange(3)
    values = (values if crops > 1 else values[:, 0]).astype(np.float32)
    channels = {"rgb": [0, 2], "flow": [2, 3]}
    if layout.streams == ("rgb",):
        values, channels = values[..., :2], {"rgb": [0, 2]}
    metadata = {
        "channels": channels,
        "frames": 40,
        "frame_rate": 25.0,
        "source": {"name": "a.mp4", "bytes": 1},
    }
    times = np.arange(rows)[:, np.newaxis] * 0.64 + np.array([0, 0.32, 0.64])
    return VideoFeatures(values, times, metadata)


def write(folder, layout, rows=2, stem="run/a"):
    paths = [folder / name for name in layout.names(stem)]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    write_feature_set(paths, features_of(layout, rows), layout)
    return paths


@pytest.mark.parametrize("profile", FILES)
def test_files_of_a_profile_have_the_names_of_its_makers(profile, tmp_path):
    layout = layout_of(profile)
    assert layout.names("run/a") == FILES[profile]
    paths = write(tmp_path, layout)
    written = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*"))
    assert written == sorted([*FILES[profile], FILES[profile][0] + ".json"])
    assert set_fault(paths) is None
    check_set(paths)
    assert len(read_features(paths[0]).times) == 2


def test_prefix_is_not_put_before_a_name_that_has_it():
    assert layout_of("activitynet").names("v_x") == ["v_x.npy"]
    assert layout_of("thumos14", prefix="p-", suffix="_i3d").names("a/x") == ["a/p-x_i3d.npy"]


def test_streams_and_crops_lie_in_their_files(tmp_path):
    paths = write(tmp_path, layout_of("xd_violence"))
    arrays = [np.load(path) for path in paths]
    assert [array.shape for array in arrays] == [(2, 2)] * 5 + [(2, 1)] * 5
    assert arrays[3].tolist() == [[30, 31], [130, 131]]
    assert arrays[9].tolist() == [[42], [142]]
    metadata = read_features(paths[0]).metadata
    assert (metadata["crop"], metadata["channels"]) == (0, {"rgb": [0, 2]})


def test_mean_of_crops_is_the_mean_of_the_axis_of_crops(tmp_path):
    (axis,) = write(tmp_path / "axis", layout_of("thumos14", crops=10))
    (mean,) = write(tmp_path / "mean", layout_of("thumos14", crops=10, crop_layout="mean"))
    assert np.load(axis).shape == (2, 10, 3)
    np.testing.assert_array_equal(np.load(mean), np.load(axis).mean(1))


def test_video_features_files_have_rate_and_times_of_the_last_frames(tmp_path):
    rgb, flow, rate, times = map(np.load, write(tmp_path, layout_of("video_features")))
    assert (rgb.shape, flow.shape, rate.shape, float(rate)) == ((2, 2), (2, 1), (), 25.0)
    np.testing.assert_allclose(times, [640, 1280])


def test_no_rows_are_written_and_read(tmp_path):
    paths = write(tmp_path, layout_of("video_features"), rows=0)
    assert [np.load(path).shape for path in paths] == [(0, 2), (0, 1), (), (0,)]
    found = read_features(paths[0])
    assert (found.features.shape, found.times.shape) == ((0, 2), (0, 3))
    for file_format in ("npz", "h5"):
        (path,) = write(tmp_path, layout_of(None, format=file_format), rows=0)
        assert read_features(path).features.shape == (0, 2)


def test_cmcs_archives_have_crops_before_rows(tmp_path):
    layout = layout_of("thumos14", crops=10, format="cmcs")
    paths = write(tmp_path, layout)
    assert [path.name for path in paths] == ["a-rgb.npz", "a-flow.npz"]
    assert set_fault(paths) is None
    with np.load(paths[0], allow_pickle=False) as archive:
        assert archive["feature"].shape == (10, 2, 2)
        assert archive["feature"][3].tolist() == [[30, 31], [130, 131]]
        assert (int(archive["frame_cnt"]), str(archive["video_name"])) == (40, "a")
    assert is_feature_file(paths[1])
    found = read_features(paths[1])
    assert found.features.shape == (2, 10, 1)
    assert found.times.shape == (2, 3)
    (rgb, _) = write(tmp_path / "one", layout_of("thumos14", format="cmcs"))
    assert np.load(rgb)["feature"].shape == (1, 2, 2)


def test_set_fault_names_a_file_that_is_missing_or_another(tmp_path):
    for layout in (layout_of("ucf_crime"), layout_of("ucf_crime", format="npz")):
        paths = write(tmp_path, layout)
        content = paths[3].read_bytes()
        paths[3].write_bytes(content[:-1])
        assert paths[3].name in set_fault(paths)
        paths[3].unlink()
        assert set_fault(paths) == f"{paths[3].name} is missing"


def test_check_set_refuses_files_of_others_only(tmp_path):
    for layout in (layout_of("video_features"), layout_of("video_features", extra_files="")):
        paths = write(tmp_path, layout)
        paths[0].unlink()  # as if the job had been killed before its end
        check_set(paths)
        Path(str(paths[0]) + ".json").write_text(json.dumps({"format": "mine"}))
        with pytest.raises(FileExistsError, match=r"a_flow\.npy: exists already and was not wri"):
            check_set(paths)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "mat"}, r"`file_format` must be one of .*; received 'mat'"),
        ({"crop_layout": "list"}, r"`crop_layout` must be one of .*; received 'list'"),
        ({"extra_files": ("pts",)}, r"`extra_files` must be one of .*; received 'pts'"),
        ({"extra_files": ("fps",), "format": "h5"}, r"`extra_files` are \.npy files; received"),
        ({"prefix": "a/"}, "`prefix` must be a part of a file's name; received 'a/'"),
        ({"format": "cmcs", "crop_layout": "files"}, "has an axis of crops and a file for each"),
    ],
)
def test_file_layout_names_bad_values(arguments, message):
    with pytest.raises(ValueError, match=message):
        FileLayout(**arguments)
