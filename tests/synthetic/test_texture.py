import numpy as np
import pytest

from i3d_tf.synthetic import texture

COLOURS = ((40, 60, 80), (200, 180, 160))


@pytest.mark.parametrize("seed", range(10))
def test_random_texture_varies_between_its_colours(seed):
    picture = texture.random_texture(np.random.default_rng(seed), 96, COLOURS)
    assert picture.shape == (96, 96, 3)
    assert picture.dtype == np.uint8
    assert (picture >= np.min(COLOURS, axis=0)).all()
    assert (picture <= np.max(COLOURS, axis=0)).all()
    assert picture.std(axis=(0, 1)).min() > 2


@pytest.mark.parametrize("pattern", texture.PATTERNS)
def test_patterns_are_about_0_to_1(pattern):
    values = pattern(np.random.default_rng(0), 80)
    assert values.shape == (80, 80)
    # Cubic interpolation overshoots a little; what uses a pattern clips it.
    assert values.min() > -0.3
    assert values.max() < 1.3


def test_random_texture_squeezed_repeats_every_third_row():
    plain = texture.random_texture(np.random.default_rng(5), 96, COLOURS)
    squeezed = texture.random_texture(np.random.default_rng(5), 96, COLOURS, squeeze=3)
    assert squeezed.shape == plain.shape
    # The fine grain differs; the rows of the pattern are the plain one's, every third.
    difference = squeezed[:32].astype(int) - plain[::3]
    assert np.abs(difference).mean() < 2 * texture.GRAIN * 160
