import cv2
import numpy as np
import pytest

from i3d_tf.flow.dis_opencv import PRESETS, DISParameters, flow_between

INTERIOR = slice(8, -8)


@pytest.fixture(scope="module")
def texture():
    """uint8 (96, 128): smooth noise from black to white."""
    noise = np.random.default_rng(0).random((96, 128)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


@pytest.fixture(scope="module")
def pairs(texture):
    """Three pairs: content that moves right by 1, down by 2, and not at all."""
    here = texture[16:80, 32:96]
    following = [texture[16:80, 31:95], texture[14:78, 32:96], here]
    return np.stack([here] * 3), np.stack(following)


@pytest.mark.parametrize("preset", PRESETS)
def test_flow_between_finds_shift(pairs, preset):
    flow = flow_between(*pairs, DISParameters(preset))
    assert (flow.shape, flow.dtype) == ((3, 64, 64, 2), np.float32)
    means = flow[:, INTERIOR, INTERIOR].mean((1, 2))
    # The coarsest preset is within a tenth of a pixel here.
    assert np.abs(means - [(1, 0), (0, 2), (0, 0)]).max() < 0.1


def test_flow_between_depends_on_preset(pairs):
    assert not np.array_equal(
        flow_between(*pairs, DISParameters()), flow_between(*pairs, DISParameters("ultrafast"))
    )


def test_flow_between_treats_pairs_alone(pairs):
    together = flow_between(*pairs, DISParameters())
    alone = [
        flow_between(pairs[0][k : k + 1], pairs[1][k : k + 1], DISParameters()) for k in (2, 1, 0)
    ]
    np.testing.assert_array_equal(together, np.concatenate(alone[::-1]))


def test_flow_between_of_views_and_floats_is_the_same(pairs):
    expected = flow_between(*pairs, DISParameters())
    floats = [frames.astype(np.float32) + 0.3 for frames in pairs]
    for frames in floats:
        np.clip(frames, 0, 255, out=frames)
    np.testing.assert_array_equal(flow_between(*floats, DISParameters()), expected)
    views = [np.ascontiguousarray(frames.transpose(0, 2, 1)).transpose(0, 2, 1) for frames in pairs]
    assert not views[0].flags.c_contiguous
    np.testing.assert_array_equal(flow_between(*views, DISParameters()), expected)


def test_flow_between_of_smallest_frames_and_no_frames():
    frames = np.full((1, 16, 16), 100, np.uint8)
    assert (flow_between(frames, frames, DISParameters()) == 0).all()
    assert flow_between(frames[:0], frames[:0], DISParameters()).shape == (0, 16, 16, 2)


def test_wrong_preset_and_frames_are_named(pairs):
    with pytest.raises(ValueError, match=r"`preset` must be one of .*'medium'\); received 'slow'"):
        DISParameters("slow")
    with pytest.raises(ValueError, match="must be alike"):
        flow_between(pairs[0], pairs[1][:2], DISParameters())
