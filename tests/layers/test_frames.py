import keras
import numpy as np
import pytest

from i3d_tf.layers.frames import FoldTime, LastStep, StackTime, UnfoldTime


def ramp(*shape):
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


def test_stacked_channels_are_x_and_y_of_the_first_frame_then_of_the_second():
    flow = np.zeros((1, 4, 2, 3, 2), "float32")
    for frame in range(4):
        flow[:, frame, ..., 0] = 10 * frame + 1  # x
        flow[:, frame, ..., 1] = 10 * frame + 2  # y
    stacked = np.array(StackTime(2)(flow))
    assert stacked.shape == (1, 2, 2, 3, 4)
    assert (stacked[0, 0] == [1, 2, 11, 12]).all()
    assert (stacked[0, 1] == [21, 22, 31, 32]).all()


def test_stacking_keeps_positions_and_clips_apart():
    clips = ramp(2, 2, 3, 5, 1)
    stacked = np.array(StackTime(2)(clips))
    assert stacked.shape == (2, 1, 3, 5, 2)
    np.testing.assert_array_equal(stacked[:, 0, ..., 0], clips[:, 0, ..., 0])
    np.testing.assert_array_equal(stacked[:, 0, ..., 1], clips[:, 1, ..., 0])


@pytest.mark.parametrize("frames", [0, 3, 5])
def test_a_clip_that_does_not_divide_is_refused(frames):
    with pytest.raises(ValueError, match=r"a multiple of 2 frames; received .*\(1, "):
        StackTime(2)(np.zeros((1, frames, 4, 4, 2), "float32"))
    with pytest.raises(ValueError, match="a multiple of 2 frames"):
        StackTime(2)(keras.Input((frames, 4, 4, 2)))


def test_folding_is_frame_after_frame_and_unfolding_its_inverse():
    clips = ramp(2, 3, 4, 5, 1)
    folded = np.array(FoldTime()(clips))
    assert folded.shape == (6, 4, 5, 1)
    np.testing.assert_array_equal(folded[4], clips[1, 1])
    np.testing.assert_array_equal(np.array(UnfoldTime()([folded, clips])), clips)
    features = folded.mean(axis=(1, 2))
    assert np.array(UnfoldTime()([features, clips])).shape == (2, 3, 1)


def test_last_step():
    np.testing.assert_array_equal(np.array(LastStep()(ramp(2, 3, 4))), ramp(2, 3, 4)[:, 2])


def test_sizes_may_be_unknown():
    clip = keras.Input((None, None, None, 2))
    stacked = StackTime(2)(clip)
    folded = FoldTime()(stacked)
    unfolded = UnfoldTime()([folded, stacked])
    assert stacked.shape == (None, None, None, None, 4)
    assert folded.shape == (None, None, None, 4)
    assert unfolded.shape == stacked.shape
    model = keras.Model(clip, LastStep()(unfolded))
    model.compile("sgd", "mse")
    clips = ramp(3, 4, 5, 6, 2)
    expected = np.concatenate([clips[:, 2], clips[:, 3]], axis=-1)
    np.testing.assert_array_equal(model.predict(clips, verbose=0), expected)


def test_sizes_are_kept_where_they_are_known():
    clip = keras.Input((6, 4, 5, 2), batch_size=3)
    stacked = StackTime(2)(clip)
    assert FoldTime()(stacked).shape == (9, 4, 5, 4)
    assert UnfoldTime()([FoldTime()(stacked), stacked]).shape == (3, 3, 4, 5, 4)
    assert LastStep()(stacked).shape == (3, 4, 5, 4)


@pytest.mark.parametrize("layer", [StackTime(3), FoldTime(), UnfoldTime(), LastStep()])
def test_config_round_trips(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
