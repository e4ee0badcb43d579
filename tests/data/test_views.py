import numpy as np
import pytest

from i3d_tf.data.views import View, evaluation_views, random_view
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.transforms import CropPlace


def test_one_evaluation_view_is_first_frames():
    (view,) = evaluation_views(5, Protocol(frames=3))
    assert view.indices.tolist() == [0, 1, 2]
    assert view.place == (0.5, 0.5, False)


def test_evaluation_view_of_short_video_is_looped():
    (view,) = evaluation_views(2, Protocol(frames=5))
    assert view.indices.tolist() == [0, 1, 0, 1, 0]


def test_evaluation_views_are_spread_from_end_to_end():
    views = evaluation_views(10, Protocol(frames=4, windows=3, crops=2))
    assert [(view.indices[0], view.place.left) for view in views] == [
        (0, 0.0),
        (0, 1.0),
        (3, 0.0),
        (3, 1.0),
        (6, 0.0),
        (6, 1.0),
    ]


def test_evaluation_views_of_segments_are_one_clip_at_every_crop():
    protocol = Protocol(frames=2, segments=3, crops=5, crop_set="corners")
    views = evaluation_views(10, protocol)
    assert [view.indices.tolist() for view in views] == [[1, 2, 4, 5, 7, 8]] * 5
    corners = [(0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.5)]
    assert [view.place[:2] for view in views] == corners


def test_random_view_of_segments_has_a_snippet_of_each():
    for seed in range(20):
        view = random_view(
            20, 2, np.random.default_rng(seed), segments=3
        )  # 19 starts in parts of 6
        first, second, third = view.indices.reshape(3, 2)
        assert first[0] in range(6)
        assert second[0] in range(6, 12)
        assert third[0] in range(12, 18)
        assert (view.indices[1::2] == view.indices[::2] + 1).all()


def test_random_views_cover_every_window_and_mirror_half():
    views = [random_view(6, 4, np.random.default_rng([7, k])) for k in range(400)]
    assert {int(view.indices[0]) for view in views} == {0, 1, 2}
    # 400 fair coins: 200 +- 5 standard deviations of 10
    assert sum(view.place.mirrored for view in views) == pytest.approx(200, abs=50)
    assert all(0 <= view.place.top <= 1 and view.jitter == (1.0, 1.0, 1.0) for view in views)


def test_random_view_draws_the_same_without_flip_and_jitter():
    plain = random_view(50, 8, np.random.default_rng(3), flip=False)
    rich = random_view(50, 8, np.random.default_rng(3), flip=True, jitter=0.4)
    assert (plain.indices == rich.indices).all()
    assert plain.place[:2] == rich.place[:2]
    assert all(0.6 <= factor <= 1.4 for factor in rich.jitter)


def test_view_of_both_directions_has_fields_around_its_middle():
    protocol = Protocol(frames=4, rgb_step=4, flow_direction="both")
    view = View(np.array([5, 6, 7, 8]))
    of_flow = view.of_stream("flow", protocol)
    assert of_flow.indices.tolist() == [7, 8, 7, 6]
    assert of_flow.is_backward.tolist() == [False, False, True, True]
    assert view.of_stream("rgb", protocol).indices.tolist() == [7]
    assert view.of_stream("flow", Protocol(frames=4)).is_backward is None


def test_random_view_of_scales_has_the_crops_of_tsn():
    scales = (1.0, 0.875, 0.75)
    generator = np.random.default_rng(0)
    places = [random_view(9, 4, generator, crop_scales=scales).place for _ in range(400)]
    sizes = {(place.height, place.width) for place in places}
    near = {(a, b) for a in scales for b in scales if abs(a - b) < 0.2}
    assert sizes == near
    assert {(place.top, place.left) for place in places} == {
        *((y, x) for y in (0, 0.5, 1) for x in (0, 0.5, 1)),
        *((y, x) for y in (0.25, 0.75) for x in (0.25, 0.75)),
    }
    assert 150 < sum(place.mirrored for place in places) < 250


def test_random_view_without_scales_draws_as_before():
    first, second = (np.random.default_rng(3) for _ in range(2))
    plain = random_view(50, 4, first)
    scaled = random_view(50, 4, second, crop_scales=(1.0,))
    np.testing.assert_array_equal(plain.indices, scaled.indices)
    assert plain.jitter == scaled.jitter
    assert isinstance(plain.place, CropPlace)
