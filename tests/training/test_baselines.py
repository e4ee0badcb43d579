"""The paper's baselines through training, evaluation and their saved states."""

import dataclasses

import pytest

from i3d_tf.evaluation import evaluate as evaluate_file
from i3d_tf.evaluation.evaluate import EvaluateOptions, evaluate
from i3d_tf.inference.dataset_logits import forward_function
from i3d_tf.training import periodic_evaluation as periodic_evaluation_file
from i3d_tf.training.train import TrainOptions, train
from i3d_tf.zoo.checkpoint import open_checkpoint


@pytest.fixture(autouse=True)
def eager(monkeypatch, eager_training):
    """No graphs where networks predict, either."""

    def forward(model):
        return forward_function(model).python_function

    monkeypatch.setattr(periodic_evaluation_file, "forward_function", forward)
    monkeypatch.setattr(evaluate_file, "forward_function", forward)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "stream", "changes"),
    [
        ("convnet_lstm", "rgb", {"train_frames": 10, "test_frames": 20, "rgb_step": 5}),
        ("lrcn", "rgb", {"train_frames": 4, "test_frames": 4, "test_windows": 2}),
        (
            "pooled_frames",
            "rgb",
            {"train_frames": 9, "test_frames": 9, "network_arguments": {"pooling": "local"}},
        ),
        ("two_stream", "flow", {"train_frames": 10, "test_frames": 10, "test_windows": 2}),
        ("fused_3d", "joint", {"train_frames": 20, "test_frames": 20, "rgb_step": 10}),
        ("c3d", "rgb", {"train_frames": 16, "test_frames": 16}),
    ],
)
def test_baseline_trains_and_is_evaluated_by_its_own_protocol(
    tiny_recipe, squares_dir, squares_flow_dir, tmp_path, model, stream, changes
):
    recipe = dataclasses.replace(
        tiny_recipe, model=model, stream=stream, steps=1, evaluate_every=1, **changes
    )
    options = TrainOptions(
        data_dir=str(squares_dir),
        workdir=str(tmp_path / "run"),
        flow_dir=str(squares_flow_dir),
        flow_engine="dis",
    )
    workdir = train(recipe, options)
    ((row,),) = [workdir.history()]
    assert (row["step"], row["test_videos"]) == (1, 4)

    checkpoint = open_checkpoint(tmp_path / "run")
    assert checkpoint.stream == stream
    protocol = checkpoint.protocol
    assert (protocol.frames, protocol.windows) == (recipe.test_frames, recipe.test_windows)
    assert protocol.rgb_step == recipe.rgb_step
    results = evaluate(
        EvaluateOptions(
            dataset="class_folders",
            data_dir=str(squares_dir),
            split="test",
            report_dir=str(tmp_path / "report"),
            flow_dir=str(squares_flow_dir),
            flow_engine="dis",
            **{f"{stream}_checkpoint": str(tmp_path / "run")},
        )
    )
    assert list(results.by_stream) == [stream]
    assert results.best.top_1 == pytest.approx(row["test_accuracy"])
    assert results.best.fusion is None
    assert results.protocol["rgb_step"] == recipe.rgb_step
