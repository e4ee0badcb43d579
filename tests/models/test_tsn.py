import keras
import numpy as np
import pytest

from i3d_tf.models.tsn import tsn

SMALL = {"classes": 5, "width_multiplier": 1 / 16}
TOLERANCE = 1e-5  # of the largest logit; float32 in batches of another size


@pytest.fixture(scope="module")
def network(tiny_network):
    return tiny_network("tsn")


def assert_close(logits, expected):
    np.testing.assert_allclose(logits, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


def test_equal_snippets_give_the_logits_of_one(network, random_clips):
    clip = random_clips((1, 33, 35, 3), 2)
    assert_close(np.array(network(np.repeat(clip, 3, axis=1))), np.array(network(clip)))


def test_output_is_the_mean_of_the_logits_of_the_snippets(network, random_clips):
    clips = random_clips((3, 33, 35, 3), 2)
    alone = [np.array(network(clips[:, [snippet]])) for snippet in range(3)]
    assert_close(np.array(network(clips)), (alone[0] + alone[1] + alone[2]) / 3)


def test_maximum_has_the_same_variables(network, build_tiny, random_clips):
    model = build_tiny("tsn", consensus="max")
    model.set_weights(network.get_weights())
    clips = random_clips((3, 33, 35, 3), 2)
    alone = [np.array(network(clips[:, [snippet]])) for snippet in range(3)]
    assert_close(np.array(model(clips)), np.maximum.reduce(alone))


def test_snippet_of_flow_is_stacked_x_and_y_of_each_field(random_clips):
    model = tsn(input_shape=(10, 33, 35, 2), **SMALL)
    clips = random_clips((10, 33, 35, 2), 1)
    images = np.array(keras.Model(model.input, model.get_layer("fold_time").output)(clips))
    assert images.shape == (2, 33, 35, 10)
    for snippet in range(2):
        for field in range(5):
            stacked = images[snippet, ..., 2 * field : 2 * field + 2]
            np.testing.assert_array_equal(stacked, clips[0, 5 * snippet + field])


def test_snippet_of_differences_is_stacked_later_minus_earlier(tiny_network, random_clips):
    model = tiny_network("tsn_rgb_difference")
    clips = random_clips((12, 33, 35, 3), 1)
    images = np.array(keras.Model(model.input, model.get_layer("fold_time").output)(clips))
    assert images.shape == (2, 33, 35, 15)
    for snippet in range(2):
        for index in range(5):
            first = 6 * snippet + index
            np.testing.assert_array_equal(
                images[snippet, ..., 3 * index : 3 * index + 3],
                clips[0, first + 1] - clips[0, first],
            )


def test_segments_fix_the_number_of_frames():
    assert tsn(segments=3, **SMALL).input_shape == (None, 3, None, None, 3)
    assert tsn(modality="flow", segments=3, **SMALL).input_shape == (None, 15, None, None, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"modality": "warped"}, r"`modality` must be one of \('rgb', 'flow', 'rgb_difference'\)"),
        ({"consensus": "sum"}, r"`consensus` must be one of \('mean', 'max'\); received 'sum'"),
        ({"backbone": "none"}, "`backbone` must be one of"),
        (
            {"backbone": "ResNet50", "pixel_mean": [0.5] * 3, "pixel_std": [0.5] * 3},
            "`pixel_mean` must be None for the backbone ResNet50, which has its own",
        ),
        ({"input_shape": (4, 32, 32, 2)}, "`input_shape` must have T a multiple of 5; received"),
        ({"input_shape": (4, 32, 32, 3), "segments": 3}, "`input_shape` must have T = 3; received"),
        ({"modality": "flow", "input_shape": (5, 32, 32, 3)}, "must have C = 2 for flow; received"),
        (
            {"modality": "rgb_difference", "snippet_frames": 1},
            "`snippet_frames` must be an integer >= 2; received 1",
        ),
    ],
)
def test_tsn_refuses_what_does_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        tsn(**{**SMALL, **arguments})
