import keras
import numpy as np
import pytest

from i3d_tf.layers.frames import (
    ExtendTime,
    FoldTime,
    LastStep,
    PerFrame,
    SpacePool,
    StackTime,
    TimePool,
    UnfoldTime,
)


def ramp(*shape):
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


def test_stack_time_puts_x_and_y_of_the_first_frame_first():
    flow = np.zeros((1, 4, 2, 3, 2), "float32")
    for frame in range(4):
        flow[:, frame, ..., 0] = 10 * frame + 1  # x
        flow[:, frame, ..., 1] = 10 * frame + 2  # y
    stacked = np.array(StackTime(2)(flow))
    assert stacked.shape == (1, 2, 2, 3, 4)
    assert (stacked[0, 0] == [1, 2, 11, 12]).all()
    assert (stacked[0, 1] == [21, 22, 31, 32]).all()


def test_stack_time_keeps_positions_and_clips():
    clips = ramp(2, 2, 3, 5, 1)
    stacked = np.array(StackTime(2)(clips))
    assert stacked.shape == (2, 1, 3, 5, 2)
    np.testing.assert_array_equal(stacked[:, 0, ..., 0], clips[:, 0, ..., 0])
    np.testing.assert_array_equal(stacked[:, 0, ..., 1], clips[:, 1, ..., 0])


@pytest.mark.parametrize("frames", [0, 3, 5])
def test_stack_time_refuses_other_numbers_of_frames(frames):
    with pytest.raises(ValueError, match=r"a multiple of 2 frames; received .*\(1, "):
        StackTime(2)(np.zeros((1, frames, 4, 4, 2), "float32"))
    with pytest.raises(ValueError, match="a multiple of 2 frames"):
        StackTime(2)(keras.Input((frames, 4, 4, 2)))


def test_unfold_time_is_the_inverse_of_fold_time():
    clips = ramp(2, 3, 4, 5, 1)
    folded = np.array(FoldTime()(clips))
    assert folded.shape == (6, 4, 5, 1)
    np.testing.assert_array_equal(folded[4], clips[1, 1])
    np.testing.assert_array_equal(np.array(UnfoldTime()([folded, clips])), clips)
    features = folded.mean(axis=(1, 2))
    assert np.array(UnfoldTime()([features, clips])).shape == (2, 3, 1)


def test_last_step_returns_the_last():
    np.testing.assert_array_equal(np.array(LastStep()(ramp(2, 3, 4))), ramp(2, 3, 4)[:, 2])


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (1, [0] * 4),
        (4, [0, 1, 2, 3]),
        (5, [0, 1, 2, 3, 4, 4, 4]),
        (7, [0, 1, 2, 3, 4, 5, 6]),
        (8, [0, 1, 2, 3, 4, 5, 6, 7, 7, 7]),
    ],
)
def test_extend_time_repeats_the_last_step_until_windows_end_with_it(steps, expected):
    layer = ExtendTime(4, 3)  # windows of 4 that are 3 apart
    clips = ramp(1, steps, 1)
    assert np.array(layer(clips)).ravel().tolist() == expected
    assert layer.compute_output_shape(clips.shape) == (1, len(expected), 1)
    clip = keras.Input((None, 1))
    again = keras.Model(clip, ExtendTime.from_config(layer.get_config())(clip))
    assert again.output_shape == (None, None, 1)
    assert np.array(again(clips)).ravel().tolist() == expected


@pytest.mark.parametrize(("reduction", "expected"), [("max", 4.0), ("mean", 2.0)])
def test_time_pool_reduces_all_steps(reduction, expected):
    layer = TimePool.from_config(TimePool(reduction).get_config())
    assert np.array(layer(ramp(1, 5, 1))).tolist() == [[expected]]
    assert layer.compute_output_shape((2, None, 3, 4)) == (2, 3, 4)


def test_layers_take_unknown_sizes():
    clip = keras.Input((None, None, None, 2))
    stacked = StackTime(2)(clip)
    folded = FoldTime()(stacked)
    unfolded = UnfoldTime()([folded, stacked])
    assert stacked.shape == (None, None, None, None, 4)
    assert StackTime(2).compute_output_shape((None,) * 5) == (None,) * 5
    assert folded.shape == (None, None, None, 4)
    assert unfolded.shape == stacked.shape
    model = keras.Model(clip, LastStep()(unfolded))
    model.compile("sgd", "mse")
    clips = ramp(3, 4, 5, 6, 2)
    expected = np.concatenate([clips[:, 2], clips[:, 3]], axis=-1)
    np.testing.assert_array_equal(model.predict(clips, verbose=0), expected)


def test_layers_keep_known_sizes():
    clip = keras.Input((6, 4, 5, 2), batch_size=3)
    stacked = StackTime(2)(clip)
    assert FoldTime()(stacked).shape == (9, 4, 5, 4)
    assert UnfoldTime()([FoldTime()(stacked), stacked]).shape == (3, 3, 4, 5, 4)
    assert LastStep()(stacked).shape == (3, 4, 5, 4)


@pytest.mark.parametrize(
    "layer", [StackTime(3), FoldTime(), UnfoldTime(), LastStep(), SpacePool("max", keepdims=True)]
)
def test_frames_config_round_trips(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_per_frame_applies_its_layer_to_every_frame(tmp_path):
    clip = np.random.default_rng(0).normal(size=(2, 3, 4, 5, 1)).astype("float32")
    layer = PerFrame(keras.layers.Conv2D(2, 3), name="frames")
    inputs = keras.Input((None, None, 5, 1))
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, None, None, 3, 2)
    expected = np.stack([np.array(layer.layer(clip[:, step])) for step in range(3)], axis=1)
    np.testing.assert_allclose(np.array(model(clip)), expected, rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "frames.keras")
    loaded = keras.models.load_model(tmp_path / "frames.keras", safe_mode=True)
    np.testing.assert_array_equal(np.array(loaded(clip)), np.array(model(clip)))


def test_space_pool_keeps_time():
    """Frames of the numbers 0...3 and 4...7: means 1.5 and 5.5, maxima 3 and 7."""
    clip = np.arange(8.0).reshape(1, 2, 2, 2, 1)
    np.testing.assert_array_equal(np.array(SpacePool("mean")(clip)), [[[1.5], [5.5]]])
    np.testing.assert_array_equal(np.array(SpacePool("max")(clip)), [[[3], [7]]])
    assert SpacePool("max", keepdims=True)(clip).shape == (1, 2, 1, 1, 1)
    free = keras.Input((None, None, None, 6))
    assert SpacePool("mean", keepdims=True)(free).shape == (None, None, 1, 1, 6)


def test_space_pool_names_the_reductions():
    with pytest.raises(ValueError, match=r"\('mean', 'max'\); received 'sum'"):
        SpacePool("sum")
