"""Tools that cannot take a network on persons in boxes say so in one line."""

import json

import keras
import pytest


@pytest.fixture(scope="module")
def person_run(tmp_path_factory):
    """The folder of a run with a network of few layers on persons in boxes."""
    folder = tmp_path_factory.mktemp("run")
    clip = keras.Input((None, None, None, 3), name="clip")
    boxes = keras.Input((None, 4), name="boxes")
    pooled = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling3D()(clip))
    both = keras.layers.Add()([boxes, keras.layers.Reshape((1, 4))(pooled)])
    keras.Model({"clip": clip, "boxes": boxes}, keras.layers.Dense(2)(both)).save(
        folder / "best.keras"
    )
    settings = {"test_frames": 16, "frame_rate": 25, "short_side": 48, "crop_size": 32}
    settings |= {"test_windows": 1, "rgb_step": 1, "stream": "rgb"}
    run = {"settings": settings, "class_names": ["one", "two"]}
    (folder / "run.json").write_text(json.dumps(run))
    return folder


@pytest.fixture(scope="module")
def video(write_grey_video, tmp_path_factory):
    return write_grey_video(tmp_path_factory.mktemp("video") / "a.mp4", range(0, 200, 10))


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("export", ("--checkpoint=RUN", "--output_dir=NEW")),
        ("predict", ("--checkpoint=RUN", "VIDEO")),
        ("extract_features", ("--rgb_checkpoint=RUN", "--output_dir=NEW", "VIDEO")),
        ("evaluate", ("--rgb_checkpoint=RUN", "--data_dir=FOLDER", "--report_dir=NEW")),
        ("fvd", ("--checkpoint=RUN", "--real=VIDEO", "--generated=VIDEO")),
    ],
)
def test_other_tools_refuse_it_in_one_line(
    run_tool, person_run, video, tmp_path, monkeypatch, tool, arguments
):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data/train/one"
    folder.mkdir(parents=True)
    (folder / "a.mp4").write_bytes(video.read_bytes())
    places = {"RUN": person_run, "VIDEO": video, "FOLDER": tmp_path / "data", "NEW": "new"}
    given = []
    for argument in arguments:
        name, equals, value = argument.rpartition("=")
        given.append(f"{name}{equals}{places[value]}")
    status, _, err = run_tool(tool, *given)
    assert status == 1
    assert "it looks at persons in boxes, and not at whole clips" in err[-1]
    assert not (tmp_path / "new").exists()
