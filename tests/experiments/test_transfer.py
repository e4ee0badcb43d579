"""The settings and their order, and what is written of them; training itself is faked."""

import json
from pathlib import Path

import pytest

from i3d_tf.experiments import transfer as job
from i3d_tf.experiments.transfer import (
    compare_transfer,
    transfer_plot,
    transfer_recipe,
    transfer_table,
)

CURVES = {
    "scratch": [[(3, 0.1), (6, 0.2)], [(3, 0.1), (6, 0.3)]],
    "fixed": [[(3, 0.4), (6, 0.5)], [(3, 0.2), (6, 0.5)]],
    "full": [[(3, 0.6), (6, 0.9)], [(3, 0.8), (6, 1.0)]],
}


@pytest.fixture
def calls(monkeypatch):
    """The trainings: (setting, initial weights, frozen batch norm, seed)."""
    calls = []

    def train(recipe, options):
        assert (recipe.transfer, recipe.init) == (options.transfer, options.init)
        calls.append((options.transfer, options.init, options.freeze_batch_norm, options.seed))
        workdir = Path(options.workdir)
        workdir.mkdir(parents=True)
        rows = [{"step": step, "test_accuracy": step / 12, "test_videos": 5} for step in (3, 6)]
        (workdir / "history.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
        (workdir / "step_00000006.keras").touch()

    monkeypatch.setattr(job, "make_stick_actions", lambda folder: None)
    monkeypatch.setattr(
        job, "run_in_process", lambda function, *arguments, grace: function(*arguments)
    )
    monkeypatch.setattr(job, "quiet_tensorflow", lambda: None)
    monkeypatch.setattr(job, "train", train)
    return calls


def test_compare_transfer_trains_every_setting_once(calls, tmp_path):
    curves = compare_transfer(tmp_path, seeds=2, steps=6)
    first = [
        ("scratch", None, False, 0),
        ("fixed", "rgb_scratch", True, 0),
        ("full", "rgb_scratch", True, 0),
    ]
    assert calls == first + [(*call[:3], 1) for call in first]
    assert curves["fixed"] == [[(3, 0.25), (6, 0.5)]] * 2
    calls.clear()
    assert compare_transfer(tmp_path, seeds=2, steps=6) == curves
    assert calls == []


def test_compare_transfer_writes_table_plot_and_results(calls, tmp_path):
    curves = compare_transfer(tmp_path, seeds=1, steps=6)
    folder = tmp_path / "steps_6"
    assert (folder / "table.md").read_text() == "\n".join(transfer_table(curves, 6)) + "\n"
    assert (folder / "transfer.svg").read_text() == transfer_plot(curves) + "\n"
    results = json.loads((folder / "results.json").read_text())
    assert results["test_accuracy"]["Full-FT"] == [[[3, 0.25], [6, 0.5]]]
    assert results["recipes"]["Fixed"]["init"] == "rgb_scratch"
    (folder / "table.md").write_text("someone's own")
    with pytest.raises(FileExistsError, match=r"table\.md"):
        compare_transfer(tmp_path, seeds=1, steps=6)


def test_transfer_table_has_the_last_accuracies_beside_the_papers():
    lines = transfer_table(CURVES, 6)
    assert lines[0].startswith("Top-1 after 6 updates, percent; embedded dataset: RGB, mean of 2")
    assert lines[-3:] == [
        "| Original | 25.0 (20.0 to 30.0) | 88.8 | 62.2 |",
        "| Fixed | 50.0 (50.0 to 50.0) | 97.4 | 78.6 |",
        "| Full-FT | 95.0 (90.0 to 100.0) | 97.6 | 81.3 |",
    ]


def test_transfer_plot_names_its_lines():
    plot = transfer_plot(CURVES)
    for name in ("Original", "Fixed", "Full-FT", "Mean test accuracy"):
        assert name in plot


@pytest.mark.parametrize("transfer", ["scratch", "fixed", "full"])
def test_transfer_recipe_is_of_the_whole_network(transfer):
    recipe = transfer_recipe(transfer, 60)
    assert (recipe.width_multiplier, recipe.steps, recipe.evaluate_every) == (1.0, 60, 10)
    assert recipe.freeze_batch_norm == (transfer != "scratch")
