import cv2
import numpy as np

from i3d_tf.synthetic.camera import Camera
from i3d_tf.synthetic.surroundings import add_noise, draw_ground, random_surroundings

SIZE, NUM_FRAMES = 64, 9


def draw(seed):
    return random_surroundings(np.random.default_rng(seed), NUM_FRAMES, SIZE)


def camera_for(surroundings):
    centre = np.array([0.0, 0.5]) + surroundings.pan
    return Camera(centre, 50 * np.exp(surroundings.zoom), 1, SIZE)


def test_surroundings_backwards_reverse_the_frames():
    forwards, backwards = draw(0), draw(0).backwards()
    for frame in range(NUM_FRAMES):
        other = NUM_FRAMES - 1 - frame
        picture = draw_ground(forwards, camera_for(forwards), frame)
        mirrored = draw_ground(backwards, camera_for(backwards), other)
        np.testing.assert_array_equal(
            add_noise(forwards, picture, frame), add_noise(backwards, mirrored, other)
        )


def test_draw_ground_starts_the_floor_at_the_horizon():
    surroundings = draw(1)
    black = np.zeros_like(surroundings.wall)
    painted = {**vars(surroundings), "wall": black, "floor": black + 200}
    surroundings = type(surroundings)(**painted)
    camera = camera_for(surroundings)
    picture = draw_ground(surroundings, camera, 4)
    edge = camera.project(np.full((NUM_FRAMES, 1, 2), surroundings.horizon))[4, 0, 1]
    assert (picture[: int(np.floor(edge - 0.5))] == 0).all()
    assert (picture[int(np.ceil(edge + 0.5)) :] == 200).all()
    # Half a pixel more of floor, half a grey level times 200: the edge row is a mean of both.
    covered = picture[:, 0, 0].astype(float).sum() / 200
    assert abs(covered - (SIZE - 0.5 - edge)) < 0.01


def test_draw_ground_moves_the_wall():
    moved = 0
    for seed in range(8):
        surroundings = draw(seed)
        camera = camera_for(surroundings)
        first, last = (draw_ground(surroundings, camera, frame) for frame in (0, NUM_FRAMES - 1))
        moved += cv2.absdiff(first, last)[:30].mean() > 3
    assert moved == 8


def test_add_noise_is_small_with_mean_zero():
    surroundings = draw(2)
    grey = np.full((SIZE, SIZE, 3), 128, np.uint8)
    difference = add_noise(surroundings, grey, 3).astype(int) - 128
    # The mean of 12288 values of standard deviation below 2.5 lies within 4 * 2.5 / 111.
    assert abs(difference.mean()) < 0.1
    assert 0.3 < difference.std() < 3


def test_random_surroundings_of_one_seed_agree_at_every_size():
    small = random_surroundings(np.random.default_rng(3), NUM_FRAMES, 64)
    large = random_surroundings(np.random.default_rng(3), NUM_FRAMES, 128)
    np.testing.assert_array_equal(small.pan, large.pan)
    np.testing.assert_array_equal(small.noise_offsets, large.noise_offsets)
    assert small.colour == large.colour
    assert len(small.behind) == len(large.behind)
