"""Predictions for persons in boxes, and their table, JSON and pictures."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from i3d_tf.inference.annotate import write_annotated
from i3d_tf.inference.command_output import format_table
from i3d_tf.inference.person_dataset import PersonBoxes
from i3d_tf.inference.person_predictor import PersonPredictor
from i3d_tf.inference.prediction import PersonPrediction, VideoPrediction
from i3d_tf.metrics.ranking import Prediction
from i3d_tf.models.person_i3d import person_i3d
from i3d_tf.specs.recipes import RECIPES
from i3d_tf.video.decode import read_clip
from i3d_tf.video.errors import VideoError

LEFT, RIGHT = "0,0,0.5,1", "0.5,0,1,1"


@pytest.fixture(scope="module")
def video(write_grey_video, tmp_path_factory):
    """Two seconds of 64 x 48."""
    return write_grey_video(tmp_path_factory.mktemp("video") / "a.mp4", range(0, 200, 4))


@pytest.fixture
def boxes(tmp_path):
    """Function: (rows, options) -> PersonBoxes of a file with these."""

    def make(*rows, **options):
        (tmp_path / "boxes.csv").write_text("\n".join(rows) + "\n")
        return PersonBoxes(tmp_path / "boxes.csv", **options)

    return make


def test_boxes_of_a_video_by_time(boxes, video):
    found = boxes(f"a,11,{RIGHT},12,4", f"a,10.5,{LEFT},12,3", f"a,10.5,{LEFT},9,3", "a,11.2",
                  time_offset=10.0)  # fmt: skip
    frames = [example.key_frames[0] for example in found.examples(video, 25.0)]
    assert [(frame.time, len(frame.persons)) for frame in frames] == [(0.5, 1), (1.0, 1)]
    assert found.has_numbers
    assert frames[0].persons[0].number == 3
    assert not boxes(f"a,1,{LEFT},,0.9").has_numbers
    assert not boxes(f"a,1,{LEFT},,1", min_score=0.5).has_numbers


def test_boxes_of_a_clip_of_kinetics(boxes, video, tmp_path):
    clip = tmp_path / "id_000010_000020.mp4"
    clip.write_bytes(video.read_bytes())
    (example,) = boxes(f"id,10.5,{LEFT},12", f"id,30,{LEFT},12").examples(clip, 25.0)
    assert example.key_frames[0].time == 0.5


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([f"b,1,{LEFT},12,0"], "has no person of 'a'; it has some of 'b'"),
        ([f"a,1,{LEFT},12,0", f"a,9,{LEFT},12,0"], "1 of its 2 key frames are outside of it"),
    ],
)
def test_videos_that_do_not_fit_are_named(boxes, video, rows, reason):
    with pytest.raises(VideoError, match=reason):
        boxes(*rows).examples(video, 25.0)


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([f"a,1,{LEFT},12,0", "a,1,0,0,2,1,12,0"], {}, "1 rows are not valid, the first is"),
        (["a,1"], {}, "there is no person in it"),
        ([f"a,1,{LEFT},,0.3"], {"min_score": 0.5}, "no person in it with a score of at least 0.5"),
    ],
)
def test_files_without_persons_are_refused(boxes, rows, options, message):
    with pytest.raises(ValueError, match=message):
        boxes(*rows, **options)


def of_persons(video):
    box, other = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
    walks, stands = Prediction("walk", 0, 0.9, 2.2), Prediction("stand", 1, 0.25, -1.1)
    persons = [
        PersonPrediction(0.5, box, [walks, stands], person=3),
        PersonPrediction(0.5, other, [stands], score=0.75),
    ]
    return VideoPrediction(str(video), "rgb", frames=9, seconds=0.36, persons=persons)


def test_json_and_table_have_each_person(video):
    prediction = of_persons(video)
    first, second = prediction.to_json()["persons"]
    assert first == {
        "time": 0.5,
        "box": [0.0, 0.0, 0.5, 1.0],
        "person": 3,
        "top": [
            {"class": "walk", "index": 0, "probability": 0.9, "logit": 2.2},
            {"class": "stand", "index": 1, "probability": 0.25, "logit": -1.1},
        ],
    }
    assert (second["score"], "person" in second) == (0.75, False)
    assert "top" not in prediction.to_json()
    assert format_table(prediction)[1] == (
        "      0.50 s  [0.000, 0.000, 0.500, 1.000]  person 3  walk 0.90, stand 0.25"
    )


def test_copies_show_boxes_near_their_moment(video, tmp_path):
    prediction = of_persons(video)
    write_annotated(prediction, tmp_path / "copy.mp4")
    frames, plain = read_clip(tmp_path / "copy.mp4").astype(int), read_clip(video).astype(int)
    changed = np.abs(frames - plain).max(axis=(1, 2, 3)) > 60
    assert changed.tolist() == [index <= 25 for index in range(50)]
    write_annotated(prediction, tmp_path / "copy.mp4")  # the same is kept
    others = dataclasses.replace(prediction, persons=prediction.persons[:1])
    with pytest.raises(FileExistsError, match="it exists and shows something else: persons"):
        write_annotated(others, tmp_path / "copy.mp4")


@pytest.mark.slow
def test_swapped_boxes_swap_predictions(boxes, video, tmp_path, random_weights):
    settings = {
        **dataclasses.asdict(RECIPES["stick_actions"]),
        "test_frames": 9,
        "short_side": 32,
        "crop_size": 32,
        "frame_rate": 25.0,
    }
    run = {"settings": settings, "class_names": ["walk", "stand", "talk"]}
    model = person_i3d((None, None, None, 3), width_multiplier=1 / 16, classes=3)
    random_weights(model).save(tmp_path / "best.keras")
    (tmp_path / "run.json").write_text(json.dumps(run))
    swapped = tmp_path / "b.mp4"
    swapped.write_bytes(video.read_bytes())
    rows = (f"a,1,{LEFT},,0", f"a,1,{RIGHT},,1", f"b,1,{RIGHT},,0", f"b,1,{LEFT},,1")
    predictor = PersonPredictor(tmp_path, boxes(*rows))
    found = [predictor.predict(path, top=3) for path in (video, swapped)]
    first, second = (prediction.persons for prediction in found)
    assert [person.box for person in first] == [person.box for person in second][::-1]
    assert [person.top for person in first] == [person.top for person in second][::-1]
    assert first[0].top != first[1].top
    assert found[0].to_json()["persons"][1]["person"] == 1
    swapped.rename(tmp_path / "c.mp4")
    assert "has no person of 'c'" in predictor.predict(tmp_path / "c.mp4").error


def test_flow_is_computed_for_networks_that_see_it(boxes, video, tmp_path):
    clip = keras.Input((None, None, None, 2), name="clip")
    corners = keras.Input((None, 4), name="boxes")
    pooled = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling3D()(clip))
    both = keras.layers.Add()([corners, keras.layers.Reshape((1, 4))(pooled)])
    model = keras.Model({"clip": clip, "boxes": corners}, keras.layers.Dense(3)(both))
    model.save(tmp_path / "best.keras")
    settings = {**dataclasses.asdict(RECIPES["stick_actions"]), "test_frames": 9}
    run = {"settings": settings, "class_names": ["walk", "stand", "talk"]}
    (tmp_path / "run.json").write_text(json.dumps(run))
    file = boxes(f"a,1,{LEFT},,3", f"a,1,{RIGHT},,4")
    predictor = PersonPredictor(tmp_path, file, flow_engine="dis")
    values = predictor.predict(video).to_json()
    assert (values["stream"], values["flow"]["engine"]) == ("flow", "dis")
    assert [person["person"] for person in values["persons"]] == [3, 4]
    assert predictor.settings["flow_engine"] == "dis"
