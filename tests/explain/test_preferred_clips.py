import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.explain.preferred_clips import (
    ClipOptions,
    PreferredClips,
    find_preferred_clips,
    roughness_gradient,
    unit_activations,
)

SHAPE = (6, 8, 8, 2)


def change_detector(clips, channel):
    """The mean difference between neighboring frames times a checkerboard; and its gradient."""
    rows, columns = np.mgrid[:8, :8]
    signs = (-1.0) ** np.arange(6).reshape(6, 1, 1) * ((rows // 4 + columns // 4) % 2 * 2 - 1)
    pattern = np.broadcast_to(signs[..., np.newaxis], SHAPE).astype(np.float32) / 100
    clips = clips.numpy()
    values = (clips * pattern).sum(axis=(1, 2, 3, 4)) + float(channel)
    return tf.constant(values), tf.constant(np.broadcast_to(pattern, clips.shape))


def test_clips_are_slower_with_more_weight_of_time_and_stay_in_range():
    options = ClipOptions(steps=120, space_weight=0.5, time_weights=(10, 1, 0), jitter=0)
    watched = []
    found = find_preferred_clips(change_detector, 0, SHAPE, options, lambda: watched.append(1))
    assert len(watched) == len(found.activations) == 120
    assert np.abs(found.clips).max() <= 1
    slow, middle, fast = found.time_changes()
    assert slow < 0.3 * middle
    assert middle < 0.6 * fast
    averages = found.moving_averages()
    assert (np.diff(averages, axis=0) > -1e-3).all()
    assert (averages[-1] > averages[0] + 0.01).all()


def test_same_seed_gives_the_same_clips():
    first, second, third = (
        find_preferred_clips(change_detector, 0, SHAPE, ClipOptions(steps=3, seed=seed)).clips
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - third).max() > 0.1


def test_shifted_gradients_come_back_to_their_place():
    # Only the first pixel of the clip as it is shown counts; the shift is -1 to 1 pixel.
    def first_pixel(clips, channel):
        gradient = np.zeros(clips.shape, np.float32)
        gradient[:, 0, 0, 0, 0] = 1
        return clips[:, 0, 0, 0, 0], tf.constant(gradient)

    options = ClipOptions(steps=300, space_weight=0.0, time_weights=(0,), jitter=1)
    clip = find_preferred_clips(first_pixel, 0, SHAPE, options).clips[0]
    raised = clip[0, :, :, 0] == 1
    assert raised[np.ix_([0, 1, -1], [0, 1, -1])].all()
    assert not raised[2:-1, 2:-1].any()


def test_roughness_gradient_is_that_of_half_the_squared_differences():
    values = np.array([1.0, 4.0, 2.0]).reshape(1, 3)
    # d/dx of ((4 - 1)^2 + (2 - 4)^2) / 2
    assert roughness_gradient(values, 1).tolist() == [[-3, 5, -2]]
    assert roughness_gradient(values, 0).tolist() == [[0, 0, 0]]


def test_moving_averages_of_few_steps_are_over_all():
    found = PreferredClips(np.zeros((1, 2, 1, 1, 1)), np.array([[1.0], [3.0]]))
    assert found.moving_averages().tolist() == [[2]]


def test_clip_options_refuse_what_makes_no_sense():
    for arguments, message in (
        ({"steps": 0}, "`steps` must be an integer >= 1"),
        ({"time_weights": ()}, "`time_weights` must have at least one weight"),
        ({"time_weights": (1, -1)}, "`time_weights` must be a number >= 0; received -1"),
    ):
        with pytest.raises(ValueError, match=message):
            ClipOptions(**arguments)


@pytest.mark.slow
def test_unit_activations_are_means_of_a_channel(tiny_network, random_clips):
    model = tiny_network("inception_i3d")
    clips = tf.constant(random_clips((9, 32, 32, 3), 2))
    part = tf.keras.Model(model.input, model.get_layer("Mixed_3b").output)
    expected = part(clips, training=False).numpy()[..., 5].mean(axis=(1, 2, 3))
    values, gradient = unit_activations(model, "Mixed_3b")(clips, tf.constant(5))
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    assert gradient.shape == clips.shape
    options = ClipOptions(steps=40, space_weight=0.5, jitter=1)
    activations = unit_activations(model, "Logits")
    found = find_preferred_clips(activations, 2, (9, 32, 32, 3), options)
    averages = found.moving_averages()
    assert (averages[-1] > averages[0]).all()
    assert (np.diff(found.time_changes()) > 0).all()
    assert np.abs(found.clips).max() <= 1
    with pytest.raises(ValueError, match=r"`endpoint` must be one of .*; received 'Mixed_6a'"):
        unit_activations(model, "Mixed_6a")
