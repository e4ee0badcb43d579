import io

import numpy as np
from PIL import Image

from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.decode import read_clip
from i3d_tf.web.clip_pictures import MAX_FRAMES, ClipMotion

PROTOCOL = Protocol(frames=4, frame_rate=25, short_side=112, crop_size=112)


def moving_square(frames):
    """A bright square that moves to the right in the upper half of grey frames."""
    clip = np.full((frames, 112, 112, 3), 100, np.uint8)
    texture = np.random.default_rng(0).integers(150, 255, (28, 28, 1))
    for number, frame in enumerate(clip):
        frame[14:42, 28 + 2 * number : 56 + 2 * number] = texture
    return clip


def test_frames_are_beside_their_flow():
    shown = read_clip(ClipMotion(moving_square(4), PROTOCOL, "dis").frames_beside_flow())
    assert shown.shape == (4, 224, 448, 3)
    left, right = shown[1, :, :224].astype(int), shown[1, :, 224:].astype(int)
    assert np.abs(left[150:] - 100).max() < 12  # grey, as given
    red, green, blue = right[56, 84]  # in the square, which moves to the right: red
    assert red > max(green, blue) + 100


def test_only_the_first_frames_are_drawn():
    frames = np.repeat(moving_square(2)[:, ::2, ::2], MAX_FRAMES, axis=0)
    small = Protocol(frames=4, short_side=56, crop_size=56)
    assert len(read_clip(ClipMotion(frames, small, "dis").frames_beside_flow())) == MAX_FRAMES


def test_where_it_moves_is_brighter():
    picture = ClipMotion(moving_square(4), PROTOCOL, "dis").where_it_moves()
    pixels = np.asarray(Image.open(io.BytesIO(picture))).astype(int)
    assert pixels.shape == (224, 224, 3)
    moved = np.abs(pixels - pixels[-20:].mean(axis=(0, 1))).sum(-1)
    assert moved[40:70, 70:110].mean() > 10 * moved[150:].mean()
