"""The order of the work, and the work after an interruption; training itself is faked."""

import json
from pathlib import Path

import pytest

from i3d_tf.experiments import compare_architectures as job
from i3d_tf.experiments.compare_architectures import compare_architectures
from i3d_tf.experiments.comparison_entries import Entry


@pytest.fixture
def calls(monkeypatch):
    """The work: (name of the run's folder, name of its initial weights), or name of a report."""
    calls = []

    def train(recipe, options):
        workdir = Path(options.workdir)
        calls.append((workdir.name, options.init and Path(options.init).name))
        assert options.init is None or (Path(options.init) / "best.keras").is_file()
        assert recipe.steps == 7
        workdir.mkdir(parents=True)
        for name in ("best.keras", "step_00000007.keras"):
            (workdir / name).touch()

    def evaluate(options):
        report = Path(options.report_dir)
        calls.append(report.name)
        streams = ("rgb", "flow", "joint")
        found = [s for s in streams if getattr(options, f"{s}_checkpoint")]
        results = {name: {"top_1": 0.5} for name in (found if len(found) < 2 else streams)}
        report.mkdir()
        (report / "report.json").write_text(json.dumps({"results": results}))

    def run_in_process(function, *arguments, grace):
        return function(*arguments)

    monkeypatch.setattr(job, "make_stick_actions", lambda folder: None)
    monkeypatch.setattr(job, "run_in_process", run_in_process)
    monkeypatch.setattr(job, "train", train)
    monkeypatch.setattr(job, "evaluate", evaluate)
    return calls


def test_compare_architectures_trains_single_frames_before_they_are_needed(calls, tmp_path):
    rows = compare_architectures(tmp_path, seeds=1, steps=7)
    trained = dict(call for call in calls if isinstance(call, tuple))
    assert len(trained) == 7 + 6
    assert trained["two_stream_i3d_flow_images_0"] == "two_stream_rgb_scratch_0"
    assert trained["fused_3d_joint_images_0"] == "two_stream_rgb_scratch_0"
    assert all((init is None) == ("scratch" in name) for name, init in trained.items())
    assert [(row.entry.letter, row.initialization) for row in rows] == [
        *(("a", initialization) for initialization in ("scratch", "images")),
        ("b", "scratch"),
        *((letter, initialization) for letter in "cde" for initialization in ("scratch", "images")),
    ]
    assert rows[-1].accuracy == {"rgb": [0.5], "flow": [0.5], "joint": [0.5]}
    assert rows[2].accuracy == {"rgb": [0.5]}
    assert rows[5].accuracy == {"joint": [0.5]}


def test_compare_architectures_does_not_repeat_finished_work(calls, tmp_path):
    compare_architectures(tmp_path, seeds=1, steps=7)
    report = tmp_path / "steps_7" / "c3d_scratch_0_report" / "report.json"
    report.unlink()
    report.parent.rmdir()
    calls.clear()
    compare_architectures(tmp_path, seeds=1, steps=7)
    assert calls == ["c3d_scratch_0_report"]
    calls.clear()
    rows = compare_architectures(tmp_path, seeds=2, steps=7)
    assert len(calls) == 13 + 9
    assert rows[0].accuracy == {"rgb": [0.5, 0.5]}


def test_compare_architectures_writes_results(calls, tmp_path):
    compare_architectures(tmp_path, seeds=2, steps=7)
    results = json.loads((tmp_path / "steps_7" / "results.json").read_text("utf-8"))
    assert results["steps"] == 7
    assert len(results["rows"]) == 9
    row = results["rows"][-1]
    assert (row["architecture"], row["start"]) == ("two_stream_i3d", "images")
    assert row["recipes"]["flow"]["train_frames"] == 16
    assert row["accuracy"]["joint"] == [0.5, 0.5]


@pytest.mark.parametrize(("seeds", "steps", "name"), [(0, 7, "seeds"), (1, 0, "steps")])
def test_compare_architectures_refuses_numbers_below_one(seeds, steps, name, tmp_path):
    with pytest.raises(ValueError, match=f"`{name}` must be an integer >= 1; received 0"):
        compare_architectures(tmp_path, seeds, steps)


def test_compare_architectures_of_all_networks_starts_from_scratch(calls, tmp_path, monkeypatch):
    monkeypatch.setattr(Entry, "parameters", 1)
    monkeypatch.setattr(Entry, "multiply_adds", 1)
    rows = compare_architectures(tmp_path, seeds=1, steps=7, networks="two_stream,s3d")
    trained = [name for name, _ in (call for call in calls if isinstance(call, tuple))]
    assert trained == ["two_stream_rgb_scratch_0", "two_stream_flow_scratch_0", "s3d_rgb_scratch_0"]
    assert [row.entry.name for row in rows] == ["two_stream", "s3d"]
    assert (tmp_path / "steps_7" / "results_two_stream_s3d.json").is_file()
