"""The paper's baselines through training, evaluation and their saved states."""

import dataclasses

import numpy as np
import pytest

from i3d_tf.evaluation import evaluate as evaluate_file
from i3d_tf.evaluation.evaluate import EvaluateOptions, evaluate
from i3d_tf.inference.dataset_logits import forward_function
from i3d_tf.training import model as training_model
from i3d_tf.training import train as train_file
from i3d_tf.training.train import TrainOptions, train
from i3d_tf.zoo.checkpoint import open_checkpoint


@pytest.fixture(autouse=True)
def eager(monkeypatch, eager_training):
    """No graphs where networks answer, either."""

    def forward(model):
        return forward_function(model).python_function

    monkeypatch.setattr(train_file, "forward_function", forward)
    monkeypatch.setattr(evaluate_file, "forward_function", forward)


@pytest.fixture(scope="module")
def flow_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("flow")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "stream", "changes"),
    [
        ("convnet_lstm", "rgb", {"train_frames": 10, "test_frames": 20, "rgb_step": 5}),
        ("two_stream", "flow", {"train_frames": 10, "test_frames": 10, "test_windows": 2}),
        ("fused_3d", "joint", {"train_frames": 20, "test_frames": 20, "rgb_step": 10}),
        ("c3d", "rgb", {"train_frames": 16, "test_frames": 16}),
    ],
)
def test_trains_and_is_evaluated_by_its_own_protocol(
    tiny_recipe, squares_dir, flow_dir, tmp_path, model, stream, changes
):
    recipe = dataclasses.replace(
        tiny_recipe, model=model, stream=stream, steps=2, evaluate_every=2, **changes
    )
    options = TrainOptions(
        data_dir=str(squares_dir),
        workdir=str(tmp_path / "run"),
        flow_dir=str(flow_dir),
        flow_engine="dis",
    )
    workdir = train(recipe, options)
    ((row,),) = [workdir.history()]
    assert (row["step"], row["test_videos"]) == (2, 4)

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
            flow_dir=str(flow_dir),
            flow_engine="dis",
            **{f"{stream}_checkpoint": str(tmp_path / "run")},
        )
    )
    assert list(results.by_stream) == [stream]
    assert results.best.top_1 == pytest.approx(row["test_accuracy"])
    assert results.best.fusion is None
    assert results.protocol["rgb_step"] == recipe.rgb_step


def test_a_network_of_both_streams_stands_alone(tmp_path, squares_dir):
    options = EvaluateOptions("class_folders", str(squares_dir), "test", str(tmp_path))
    both = dataclasses.replace(options, joint_checkpoint="a", rgb_checkpoint="b")
    with pytest.raises(ValueError, match="sees both streams; give no other beside it"):
        evaluate(both)


def test_the_answer_of_a_network_that_answers_at_every_step_is_its_last(tiny_recipe):
    recipe = dataclasses.replace(tiny_recipe, model="convnet_lstm")
    model = training_model.build_model(recipe, 4)
    clips = np.random.default_rng(0).uniform(-1, 1, (2, 3, 32, 32, 3)).astype(np.float32)
    steps = model(clips, training=False)
    assert steps.shape == (2, 3, 4)
    last = forward_function(model).python_function(clips)
    np.testing.assert_array_equal(last, steps[:, -1])


def test_the_loss_at_every_step_is_the_mean_of_the_steps():
    loss = training_model.SmoothedCrossentropy(0.1)
    logits = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    labels = np.array([1, 3])
    apart = [float(loss(labels, logits[:, step])) for step in range(3)]
    assert float(loss(labels, logits)) == pytest.approx(np.mean(apart), rel=1e-6)


def test_right_looks_at_the_last_step():
    logits = np.zeros((2, 3, 4), np.float32)
    logits[:, -1, 2] = 1.0
    logits[:, 0, 1] = 9.0
    assert training_model.right(np.array([2, 1]), logits).numpy().tolist() == [1.0, 0.0]
