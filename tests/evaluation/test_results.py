import json
import math

import numpy as np
import pytest

from i3d_tf.evaluation.measure import measure
from i3d_tf.evaluation.results import plain, read_results


@pytest.fixture
def results(six_clips):
    return measure(
        six_clips(
            cuts=[(1.0, 2.5)] + [(None, None)] * 5,
            history={"rgb": [{"step": 1, "loss": 0.5}]},
            data_report={"name": "mine", "missing": ["a"]},
        )
    )


def test_results_survive_json(results, tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(results.to_json(), allow_nan=False), "utf-8")
    assert read_results(tmp_path) == results
    assert read_results(tmp_path / "report.json") == results


def test_keys_of_report_json(results):
    record = results.to_json()
    assert list(record) == [
        "format",
        "version",
        "protocol",
        "data",
        "classes",
        "videos",
        "headline",
        "results",
        "history",
        "worst",
        "predictions",
    ]
    assert (record["videos"], record["headline"], record["worst"]) == (6, "joint", [4])
    assert list(record["results"]["rgb"]) == [
        "streams",
        "fusion",
        "correct",
        "top_1",
        "top_5",
        "mean_class",
        "class_videos",
        "class_accuracy",
        "confusion",
    ]
    assert record["results"]["rgb"]["confusion"][0] == [0, 0, 2]
    prediction = record["predictions"][0]
    assert list(prediction) == ["path", "start", "end", "label", "rgb", "flow", "joint"]
    assert prediction["rgb"]["rank"] == 1
    assert prediction["rgb"]["top"][0] == {"label": "run", "probability": 0.786986}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": "another"}',
        '{"format": "i3d_tf evaluation", "version": 2}',
        "[" * 100_000,
    ],
)
def test_read_results_refuses_other_files(tmp_path, text):
    (tmp_path / "report.json").write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"report\.json: not a report of format .*Evaluate again"):
        read_results(tmp_path)


PREDICTION = {"path": "a", "start": None, "end": None, "label": "run"}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("classes",), ["run", "run", "sit"], "a class occurs twice"),
        (("results", "rgb", "class_videos"), [2, 2], "'class_videos' has 2 values, not 3"),
        (("results",), {}, r"results of \[\]"),
        (("results",), {"depth": {}}, r"results of \['depth'\]"),
        (("results", "rgb"), {}, "'confusion' is missing"),
        (("results", "rgb", "top_1"), 2, "'top_1' of 2"),
        (("results", "rgb", "top_1"), None, "'top_1' has a value of another kind, None"),
        (("results", "rgb", "correct"), True, "'correct' has a value of another kind, True"),
        (("results", "rgb", "confusion"), [[0, 3, 1]], "an entry .* matrix of 3 classes"),
        (("results", "rgb", "confusion"), [[0, "1", 1]], "an entry"),
        (("protocol",), [], "'protocol' has a value of another kind"),
        (("history",), {"rgb": {}}, "'rgb' has a value of another kind"),
        (("worst",), [6], "'worst' names predictions that are not there"),
        (("predictions",), [PREDICTION], "'rgb' is missing"),
        (("predictions",), [PREDICTION | {"path": []}], "'path' has a value of another kind"),
        (("predictions",), ["a"], "'predictions' has a value of another kind"),
    ],
)
def test_read_results_refuses_damaged_report(results, tmp_path, path, value, message):
    record = results.to_json()
    parent = record
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    (tmp_path / "report.json").write_text(json.dumps(record), "utf-8")
    with pytest.raises(ValueError, match=message):
        read_results(tmp_path)


def test_read_results_refuses_huge_file(tmp_path):
    with open(tmp_path / "report.json", "wb") as file:
        file.truncate(2**30 + 1)
    with pytest.raises(ValueError, match=r"report\.json: .*1,073,741,825 bytes are more than"):
        read_results(tmp_path)


def test_read_results_of_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_results(tmp_path / "gone.json")


def test_plain_turns_numpy_and_tuples_into_json_values():
    assert plain({"a": np.float32(0.5), 1: (np.int64(3), None, True)}, "x") == {
        "a": 0.5,
        "1": [3, None, True],
    }
    assert plain([math.nan, math.inf], "x") == [None, None]


def test_plain_names_value_that_json_cannot_hold():
    with pytest.raises(ValueError, match=r"`protocol\['a'\]\[1\]` must be text.*received object"):
        plain({"a": [1, object()]}, "protocol")
