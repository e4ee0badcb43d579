import numpy as np
import pytest

from i3d_tf.viz.heat import overlay_heat

GREY = np.full((2, 4, 3), 100, np.uint8)


def test_no_heat_leaves_the_frame_and_much_heat_paints_it():
    heat = np.zeros((2, 4))
    heat[0] = 0, 0.3, 0.6, 1
    picture = overlay_heat(GREY, heat).astype(int)
    assert (picture[1] == 100).all()
    assert (picture[0, 0] == 100).all()
    distances = np.abs(picture[0] - 100).sum(axis=-1)
    assert (np.diff(distances) > 0).all()
    assert picture[0, 3, 0] > 180  # yellow
    assert picture[0, 3, 1] > 180


def test_threshold_hides_what_is_below():
    heat = np.array([[0, 0.19, 0.2, 1]] * 2)
    picture = overlay_heat(GREY, heat, threshold=0.2)
    assert (picture[:, :2] == 100).all()
    assert (picture[:, 2:] != 100).any(axis=-1).all()


def test_what_is_not_seen_is_darker():
    seen = np.ones((2, 4), bool)
    seen[:, 0] = False
    picture = overlay_heat(GREY, np.zeros((2, 4)), seen)
    assert (picture[:, 0] == 45).all()
    assert (picture[:, 1:] == 100).all()


def test_heat_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"`heat` must be \(2, 4\) like the frame; received"):
        overlay_heat(GREY, np.zeros((4, 2)))
