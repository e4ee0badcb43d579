"""The order of the work and what is done again after an interruption; training itself is faked."""

import json
import os
from pathlib import Path

import pytest

from i3d_tf.experiments import compare_architectures as job
from i3d_tf.experiments.compare_architectures import compare_architectures


@pytest.fixture
def done(monkeypatch):
    """What was asked for, as (workdir's name, name of the initial weights) or report's name."""
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

    monkeypatch.setattr(job, "render_stick_actions", lambda folder: None)
    monkeypatch.setattr(job, "_apart", lambda function, *arguments: function(*arguments))
    monkeypatch.setattr(job, "train", train)
    monkeypatch.setattr(job, "evaluate", evaluate)
    return calls


def test_single_frames_are_learned_before_they_are_needed(done, tmp_path):
    rows = compare_architectures(tmp_path, seeds=1, steps=7)
    trained = dict(call for call in done if isinstance(call, tuple))
    assert len(trained) == 7 + 6
    assert trained["two_stream_i3d_flow_images_0"] == "two_stream_rgb_scratch_0"
    assert trained["fused_3d_joint_images_0"] == "two_stream_rgb_scratch_0"
    assert all((init is None) == ("scratch" in name) for name, init in trained.items())
    assert [(row.contender.letter, row.start) for row in rows] == [
        *((letter, start) for letter in "a" for start in ("scratch", "images")),
        ("b", "scratch"),
        *((letter, start) for letter in "cde" for start in ("scratch", "images")),
    ]
    assert rows[-1].accuracy == {"rgb": [0.5], "flow": [0.5], "joint": [0.5]}
    assert rows[2].accuracy == {"rgb": [0.5]}
    assert rows[5].accuracy == {"joint": [0.5]}


def test_what_is_finished_is_not_done_again(done, tmp_path):
    compare_architectures(tmp_path, seeds=1, steps=7)
    report = tmp_path / "steps_7" / "c3d_scratch_0_report" / "report.json"
    state = tmp_path / "steps_7" / "two_stream_flow_scratch_0" / "step_00000007.keras"
    report.unlink()
    report.parent.rmdir()
    done.clear()
    compare_architectures(tmp_path, seeds=1, steps=7)
    assert done == ["c3d_scratch_0_report"]
    assert state.exists()
    done.clear()
    rows = compare_architectures(tmp_path, seeds=2, steps=7)
    assert len(done) == 13 + 9
    assert rows[0].accuracy == {"rgb": [0.5, 0.5]}


def test_the_results_say_what_they_are_of(done, tmp_path):
    compare_architectures(tmp_path, seeds=2, steps=7)
    record = json.loads((tmp_path / "steps_7" / "results.json").read_text("utf-8"))
    assert record["steps"] == 7
    assert len(record["rows"]) == 9
    row = record["rows"][-1]
    assert (row["architecture"], row["start"]) == ("two_stream_i3d", "images")
    assert row["recipes"]["flow"]["train_frames"] == 16
    assert row["accuracy"]["joint"] == [0.5, 0.5]


@pytest.mark.parametrize(("seeds", "steps"), [(0, 7), (1, 0)])
def test_nothing_to_do(seeds, steps, tmp_path):
    with pytest.raises(ValueError, match="`seeds` and `steps` must be at least 1"):
        compare_architectures(tmp_path, seeds, steps)


def test_work_is_done_in_another_process_and_its_errors_are_ours(tmp_path):
    job._apart(os.mkdir, tmp_path / "made")
    assert (tmp_path / "made").is_dir()
    with pytest.raises(FileExistsError):
        job._apart(os.mkdir, tmp_path / "made")
