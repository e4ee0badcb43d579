import numpy as np

from i3d_tf.synthetic import palette


def test_colour_of_primary_hues():
    assert palette.colour(0, 1, 1) == (255, 0, 0)
    assert palette.colour(1 / 3, 1, 1) == (0, 255, 0)
    assert palette.colour(0.5, 0, 1) == (255, 255, 255)


def test_muted_colours_are_paler_than_vivid_ones():
    rng = np.random.default_rng(0)
    spread = [np.ptp(palette.muted(rng)) for _ in range(200)]
    vivid_spread = [np.ptp(palette.vivid(rng)) for _ in range(200)]
    assert np.mean(spread) < np.mean(vivid_spread) / 2


def test_contrasting_keeps_its_distance_from_other_colours():
    against = ((120, 120, 120), (20, 60, 200))
    for seed in range(100):
        chosen = palette.contrasting(np.random.default_rng(seed), against)
        assert min(np.linalg.norm(np.subtract(chosen, other)) for other in against) >= 100


def test_shade_towards_mixes_colours():
    assert palette.shade_towards((0, 100, 200), (100, 100, 0), 0.25) == (25, 100, 150)


def test_shade_stays_within_a_byte():
    assert palette.shade((100, 200, 0), 2) == (200, 255, 0)
