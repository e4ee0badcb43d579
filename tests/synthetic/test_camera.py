import numpy as np

from i3d_tf.synthetic.camera import PAN, SHAKE, ZOOM, Camera, random_drift


def still_camera(mirror, size=101):
    return Camera(np.array([[1.0, 2.0]]), np.array([50.0]), mirror, size)


def test_project_maps_the_centre_to_the_middle_of_the_picture():
    points = np.array([[[1.0, 2.0], [2.0, 2.0], [1.0, 3.0]]])
    assert still_camera(1).project(points)[0].tolist() == [[50, 50], [100, 50], [50, 0]]


def test_project_mirrored_negates_x_about_the_middle():
    points = np.random.default_rng(0).normal(size=(1, 9, 2))
    plain, mirrored = still_camera(1).project(points), still_camera(-1).project(points)
    np.testing.assert_allclose(mirrored[..., 0], 100 - plain[..., 0], atol=1e-9)
    np.testing.assert_array_equal(mirrored[..., 1], plain[..., 1])


def test_random_drift_stays_within_bounds_and_takes_every_direction():
    turns = []
    for seed in range(200):
        pan, zoom = random_drift(np.random.default_rng(seed), 50)
        assert (np.abs(pan) <= np.array(PAN) + SHAKE + 1e-12).all()
        assert np.ptp(zoom) <= 2 * ZOOM + 1e-12
        turns.append((*np.sign(pan[-1] - pan[0]), np.sign(zoom[-1] - zoom[0])))
    counts = np.unique(turns, axis=0, return_counts=True)[1]
    # Eight combinations, 25 clips each on average; 4 standard deviations are 19.
    assert len(counts) == 8
    assert counts.min() >= 6
