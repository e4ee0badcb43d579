import numpy as np

from i3d_tf.synthetic.distractors import MOST, random_distractors


def draw(seed, num_frames=21):
    return random_distractors(np.random.default_rng(seed), num_frames, 0.1, (120, 130, 140))


def test_there_is_always_something_and_never_a_crowd():
    groups_per_person = 6
    counts = [len(draw(seed)[0]) for seed in range(100)]
    assert min(counts) >= 1
    assert max(counts) <= MOST * groups_per_person


def test_every_distractor_moves_smoothly():
    for seed in range(30):
        for groups in draw(seed):
            for group in groups:
                for part in group.parts:
                    assert len(part.points) == 21
                    assert np.abs(np.diff(part.points, axis=0)).max() < 0.25


def test_what_is_in_front_stays_low():
    tops = [
        part.points[..., 1].max()
        for seed in range(60)
        for group in draw(seed)[1]
        for part in group.parts
    ]
    assert tops
    assert max(tops) < 0.05
