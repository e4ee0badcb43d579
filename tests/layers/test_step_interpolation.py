import numpy as np
import pytest

from i3d_tf.layers.step_interpolation import interpolate_steps, interpolation_weights
from i3d_tf.specs.geometry import STEP_RULES

# Of 64 frames the head has 7 steps. The middles of what they see: the first layer pads 2 of 7 taps
# before the clip (middle 1), the pool of 3 pads none (+ 2), nor does that of 2 (+ 2), and the head
# takes the mean of two (+ 4). The corners, 63 / 6 = 10.5 apart; and equal parts of 64 / 7 frames.
POSITIONS = {
    "centers": np.arange(7) * 8 + 9,
    "align_corners": np.arange(7) * 10.5,
    "half_pixels": (np.arange(7) + 0.5) * 64 / 7 - 0.5,
}


def test_weights_are_linear_between_steps_and_constant_outside():
    found = interpolation_weights([0, 2, 3, 5, 9], [2, 6])
    assert found.tolist() == [[1, 0], [1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]


@pytest.mark.parametrize("rule", STEP_RULES)
def test_interpolated_logits_are_those_of_numpy_at_hand_computed_positions(rule):
    logits = np.random.default_rng(0).normal(size=(2, 7, 3)).astype("float32")
    found = np.array(interpolate_steps(logits, 64, rule))
    assert found.shape == (2, 64, 3)
    for clip, of_clip in zip(logits, found, strict=True):
        for values, of_class in zip(clip.T, of_clip.T, strict=True):
            expected = np.interp(np.arange(64), POSITIONS[rule], values)
            np.testing.assert_allclose(of_class, expected, atol=1e-6)  # float32


def test_one_step_is_all_frames():
    found = interpolate_steps(np.full((1, 1, 2), 3.0, "float32"), 16)
    assert np.array(found).tolist() == np.full((1, 16, 2), 3.0).tolist()


@pytest.mark.parametrize(("rule", "corners"), [("align_corners", True), ("half_pixels", False)])
def test_rules_of_pytorch_are_those_of_its_linear_upsampling(rule, corners):
    torch = pytest.importorskip("torch")
    logits = np.random.default_rng(1).normal(size=(1, 7, 2)).astype("float32")
    expected = torch.nn.functional.interpolate(
        torch.tensor(logits.transpose(0, 2, 1)), 64, mode="linear", align_corners=corners
    )
    found = np.array(interpolate_steps(logits, 64, rule)).transpose(0, 2, 1)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
