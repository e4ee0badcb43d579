import io
import signal
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.system.console import Terminated
from i3d_tf.training import callbacks as callbacks_file
from i3d_tf.training.callbacks import (
    Profile,
    Scalars,
    StepTime,
    StopOnInterrupt,
    TerminateOnNaN,
    WarnOfWaiting,
    format_duration,
    write_pictures,
)


class At(keras.callbacks.Callback):
    """Does something at the end of a step of one epoch."""

    def __init__(self, batch, action):
        super().__init__()
        self.batch, self.action = batch, action

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.batch:
            self.action()


def interrupt():
    signal.raise_signal(signal.SIGINT)


@pytest.fixture
def fit():
    """Function: (callbacks, inputs) -> the model after one epoch of steps of one number each."""

    def fit(callbacks, inputs=(1.0, 1.0, 1.0, 1.0, 1.0, 1.0)):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        model.compile(keras.optimizers.SGD(1e-3), "mse", run_eagerly=True)
        model.set_weights([np.zeros((1, 1))])
        column = np.array(inputs, np.float32)[:, None]
        model.fit(column, column, batch_size=1, shuffle=False, verbose=0, callbacks=list(callbacks))
        return model

    return fit


def scalars(folder):
    """[(tag, step, value)] of the events in a folder, as TensorBoard reads them."""
    found = []
    for file in sorted(folder.rglob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                found.append((value.tag, event.step, tf.make_ndarray(value.tensor)))
    return found


def test_terminate_on_nan_names_step_and_its_videos(fit):
    guard = TerminateOnNaN(100, lambda step: [f"{step}_a.mp4", f"{step}_b.mp4"])
    message = "the loss is nan at step 102; its videos are 102_a.mp4, 102_b.mp4"
    with pytest.raises(FloatingPointError, match=message):
        fit([guard], [1.0, 1.0, np.nan, 1.0])


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_terminate_on_nan_suspects_a_precision_that_is_not_float32(monkeypatch, precision):
    policy = keras.DTypePolicy(precision)
    monkeypatch.setattr(keras.config, "dtype_policy", lambda: policy)
    guard = TerminateOnNaN(0, lambda step: [])
    with pytest.raises(FloatingPointError, match="another --workdir, with") as error:
        guard.on_train_batch_end(0, {"loss": np.inf})
    assert ("--precision=float32" in str(error.value)) == (precision != "float32")


def test_terminate_on_nan_ignores_finite_loss(fit):
    fit([TerminateOnNaN(0, lambda step: pytest.fail("asked for the videos"))])


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_signal_waits_for_the_end_of_the_step(fit, capsys, number, error):
    before = signal.getsignal(number)
    with StopOnInterrupt(10) as stopping, pytest.raises(error) as caught:
        fit([At(2, lambda: signal.raise_signal(number)), stopping])
    assert caught.type is error
    assert (stopping.steps_done, stopping.between_steps) == (13, True)
    assert signal.getsignal(number) is before
    assert "Stopping after this step" in capsys.readouterr().err


def test_second_signal_does_not_wait(fit):
    def twice():
        interrupt()
        interrupt()

    with StopOnInterrupt(0) as stopping, pytest.raises(KeyboardInterrupt):
        fit([At(2, twice), stopping])
    assert not stopping.between_steps


class AtEnd(keras.callbacks.Callback):
    """Sends a signal after the last step."""

    def on_train_end(self, logs=None):
        interrupt()


def test_signal_after_the_last_step_is_not_lost(fit):
    with StopOnInterrupt(10) as stopping:
        fit([stopping, AtEnd()])
        with pytest.raises(KeyboardInterrupt):
            stopping.raise_if_stopped()
    assert (stopping.steps_done, stopping.between_steps) == (16, True)


def test_signal_at_the_end_of_the_context_is_not_lost():
    with pytest.raises(KeyboardInterrupt), StopOnInterrupt(0):
        interrupt()


def test_stop_on_interrupt_counts_steps(fit):
    with StopOnInterrupt(10) as stopping:
        fit([stopping])
    assert (stopping.steps_done, stopping.between_steps) == (16, False)


def test_scalars_are_written_at_every_tenth_step(fit, tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path))
    fit([Scalars(writer, 7)])
    writer.flush()
    found = {tag: (step, value) for tag, step, value in scalars(tmp_path)}
    assert set(found) == {"train/loss", "train/learning_rate"}
    assert {step for step, _ in found.values()} == {10}
    assert found["train/learning_rate"][1] == pytest.approx(1e-3)


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_write_pictures_shows_three_frames_of_each_clip(stream, tmp_path):
    clips = np.zeros((2, 5, 4, 4, 3 if stream == "rgb" else 2), np.float32)
    clips[1, [0, 2, 4], ..., 0] = np.array([-1.0, 0.0, 1.0])[:, None, None]
    writer = tf.summary.create_file_writer(str(tmp_path))
    write_pictures(writer, {stream: clips}, 0)
    writer.flush()
    ((tag, step, value),) = scalars(tmp_path)
    assert (tag, step) == (f"what the network sees: {stream}", 0)
    assert value[:2].tolist() == [b"12", b"4"]  # width and height
    picture = tf.io.decode_png(value[3]).numpy()
    assert picture[0, [0, 4, 8], 0].tolist() == [0, 127, 255]
    assert (picture[..., 2] == 127).all()  # no blue: zero flow, or zero RGB, is middle grey


def test_profile_of_a_few_steps(fit, monkeypatch):
    calls = []
    monkeypatch.setattr(callbacks_file, "PROFILED_STEPS", (2, 4))
    monkeypatch.setattr(tf.profiler.experimental, "start", calls.append)
    monkeypatch.setattr(tf.profiler.experimental, "stop", lambda: calls.append("stop"))
    seen = []
    fit([Profile("logs"), At(3, lambda: seen.append(list(calls)))])
    assert calls == ["logs", "stop"]
    assert seen == [["logs", "stop"]]


def test_profile_ends_with_the_training(fit, monkeypatch):
    calls = []
    monkeypatch.setattr(callbacks_file, "PROFILED_STEPS", (2, 40))
    monkeypatch.setattr(tf.profiler.experimental, "start", calls.append)
    monkeypatch.setattr(tf.profiler.experimental, "stop", lambda: calls.append("stop"))
    fit([Profile("logs")])
    assert calls == ["logs", "stop"]


def test_step_time_prints_once_and_leaves_the_first_step_out(fit, capsys):
    times = iter((100.0, 112.0, 500.0, 999.0))  # after the first step, and after three more
    callback = StepTime(first_step=10, last_step=110, clock=lambda: next(times))
    fit([callback])
    fit([callback])  # the next steps, after an evaluation
    out = capsys.readouterr().out
    assert out == "4 s a step: about 7 min for the 96 steps left, evaluations apart\n"
    assert callback.steps_left == 88


def test_step_time_waits_for_enough_steps_in_a_row(fit, capsys):
    callback = StepTime(0, 100, iter(range(9)).__next__)
    fit([callback], inputs=(1.0, 1.0))
    fit([callback], inputs=(1.0, 1.0))
    assert capsys.readouterr().out == ""


def test_warning_of_waiting_names_the_service(monkeypatch):
    warned, text = threading.Event(), io.StringIO()
    text.write = lambda words: warned.set() if "grpc://here:1" in words else None
    monkeypatch.setattr(sys, "stderr", text)
    callback = WarnOfWaiting("grpc://here:1", seconds=0.01)
    callback.on_train_begin()
    assert warned.wait(60)
    callback.on_train_end()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (99, "99 s"), (101, "2 min"), (5999, "100 min"), (9000, "2.5 h")],
)
def test_format_duration(seconds, text):
    assert format_duration(seconds) == text
