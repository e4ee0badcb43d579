import numpy as np

from i3d_tf.synthetic.distractors import MAX_BEHIND, random_distractors


def draw(seed, num_frames=21):
    return random_distractors(np.random.default_rng(seed), num_frames, 0.1, (120, 130, 140))


def test_random_distractors_are_1_to_3_behind_the_action():
    groups_per_person = 6
    counts = [len(draw(seed)[0]) for seed in range(100)]
    assert min(counts) >= 1
    assert max(counts) <= MAX_BEHIND * groups_per_person


def test_random_distractors_move_smoothly():
    for seed in range(30):
        for groups in draw(seed):
            for group in groups:
                for part in group.parts:
                    assert len(part.points) == 21
                    assert np.abs(np.diff(part.points, axis=0)).max() < 0.25


def test_random_distractors_in_front_stay_low():
    tops = [
        part.points[..., 1].max()
        for seed in range(60)
        for group in draw(seed)[1]
        for part in group.parts
    ]
    assert tops
    assert max(tops) < 0.05
