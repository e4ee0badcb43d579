import numpy as np
import pytest

from i3d_tf.data.views import evaluation_views, random_view


def test_one_evaluation_view_is_first_frames():
    (view,) = evaluation_views(num_available=5, num_frames=3)
    assert view.indices.tolist() == [0, 1, 2]
    assert (view.top, view.left, view.mirrored) == (0.5, 0.5, False)


def test_evaluation_view_of_short_video_is_looped():
    (view,) = evaluation_views(num_available=2, num_frames=5)
    assert view.indices.tolist() == [0, 1, 0, 1, 0]


def test_evaluation_views_are_spread_from_end_to_end():
    views = evaluation_views(num_available=10, num_frames=4, windows=3, crops=2)
    assert [(v.indices[0], v.left) for v in views] == [
        (0, 0.0),
        (0, 1.0),
        (3, 0.0),
        (3, 1.0),
        (6, 0.0),
        (6, 1.0),
    ]


def test_random_views_cover_every_window_and_mirror_half():
    views = [random_view(6, 4, np.random.default_rng([7, k])) for k in range(400)]
    assert {int(view.indices[0]) for view in views} == {0, 1, 2}
    # 400 fair coins: 200 +- 5 standard deviations of 10
    assert sum(view.mirrored for view in views) == pytest.approx(200, abs=50)
    assert all(0 <= view.top <= 1 and view.jitter == (1.0, 1.0, 1.0) for view in views)


def test_random_view_draws_the_same_without_flip_and_jitter():
    plain = random_view(50, 8, np.random.default_rng(3), flip=False)
    rich = random_view(50, 8, np.random.default_rng(3), flip=True, jitter=0.4)
    assert (plain.indices == rich.indices).all()
    assert (plain.top, plain.left) == (rich.top, rich.left)
    assert all(0.6 <= factor <= 1.4 for factor in rich.jitter)
