"""The surroundings of an action: a moving wall, a floor, distractors, the sensor's noise.

They are independent of the action, and run forwards or backwards with equal probability, so that
they are as likely in one member of a pair as, reversed, in the other.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from i3d_tf.synthetic.camera import Camera, random_drift
from i3d_tf.synthetic.distractors import random_distractors
from i3d_tf.synthetic.palette import Colour, muted, shade_towards
from i3d_tf.synthetic.scripts import Performance
from i3d_tf.synthetic.shapes import Group
from i3d_tf.synthetic.texture import random_texture

SCROLL = 0.25  # world units that the wall drifts from the middle of the clip to its end, at most
PARALLAX = 0.6  # share of the camera's movement by which the wall moves
CONTRAST = (0.35, 0.75)  # between the two colours of a texture
NOISE = (0.5, 2.5)  # standard deviation, grey levels


@dataclass(frozen=True)
class Surroundings:
    """Tracks and textures of everything except the performance.

    Attributes:
        pan: float64 (T, 2), the camera's movement in world units.
        zoom: float64 (T,), natural logarithm of the magnification.
        scroll: float64 (T, 2), the wall's own movement in world units.
        horizon: Height of the floor's far edge in world units.
        wall: uint8 (2 * size, 2 * size, 3).
        floor: uint8 (2 * size, 2 * size, 3).
        behind: Groups farther away than the performance.
        before: Groups nearer than the performance.
        noise: int16 (size + 32, size + 32, 3), grey levels.
        noise_offsets: int64 (T, 2), top and left of the part of the noise on each frame.
        colour: Colour halfway between the wall's two.
    """

    pan: np.ndarray
    zoom: np.ndarray
    scroll: np.ndarray
    horizon: float
    wall: np.ndarray
    floor: np.ndarray
    behind: tuple[Group, ...]
    before: tuple[Group, ...]
    noise: np.ndarray
    noise_offsets: np.ndarray
    colour: Colour

    def backwards(self) -> "Surroundings":
        """Returns the same surroundings with time running backwards."""
        tracks = ("pan", "zoom", "scroll", "noise_offsets")
        groups = ("behind", "before")
        fields = dict(vars(self))
        fields.update({name: fields[name][::-1] for name in tracks})
        fields.update({name: tuple(g.backwards() for g in fields[name]) for name in groups})
        return Surroundings(**fields)

    def camera(self, performance: Performance, mirror: int, size: int) -> Camera:
        """Returns the camera that drifts around the centre of a performance.

        Args:
            performance: The performance.
            mirror: +1, or -1 for the mirror image.
            size: Pixels, the side of the picture.
        """
        centre = np.asarray(performance.centre) + self.pan
        return Camera(centre, size / performance.height * np.exp(self.zoom), mirror, size)


def random_surroundings(rng: np.random.Generator, num_frames: int, size: int) -> Surroundings:
    """Draws surroundings.

    Args:
        rng: Source of random numbers.
        num_frames: T.
        size: Pixels, the side of a frame.
    """
    time = np.linspace(-1, 1, num_frames)
    # Pixels are drawn from streams of their own, so that a seed gives one scene at every size.
    wall_rng, floor_rng, noise_rng = rng.spawn(3)
    wall_colours, floor_colours = _two_tones(rng), _two_tones(rng)
    colour = shade_towards(*wall_colours, 0.5)
    pan, zoom = random_drift(rng, num_frames)
    horizon = rng.uniform(0.05, 0.16)
    behind, before = random_distractors(rng, num_frames, horizon, colour)
    noise = noise_rng.normal(0, rng.uniform(*NOISE), size=(size + 32, size + 32, 3))
    return Surroundings(
        pan=pan,
        zoom=zoom,
        scroll=time[:, None] * rng.uniform(-SCROLL, SCROLL, size=2) * (1, 0.4),
        horizon=horizon,
        wall=random_texture(wall_rng, 2 * size, wall_colours),
        floor=random_texture(floor_rng, 2 * size, floor_colours, squeeze=3),
        behind=behind,
        before=before,
        noise=np.rint(noise).astype(np.int16),
        noise_offsets=rng.integers(0, 32, size=(num_frames, 2)),
        colour=colour,
    )


def _two_tones(rng: np.random.Generator) -> tuple[Colour, Colour]:
    first, second = muted(rng), muted(rng)
    return first, shade_towards(first, second, rng.uniform(*CONTRAST))


def _window(texture, size, magnification, anchor):
    """Returns a frame's part of a texture; `anchor` is the position of the texture's middle."""
    step = 1 / magnification
    offset = texture.shape[0] / 2 - np.asarray(anchor) * step
    matrix = np.array([[step, 0, offset[0]], [0, step, offset[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        texture, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT_101
    )


def draw_ground(surroundings: Surroundings, camera: Camera, frame: int) -> np.ndarray:
    """Draws the wall and the floor of a frame, given by its index: uint8 (size, size, 3)."""
    size, middle = camera.size, (camera.size - 1) / 2
    magnification = float(np.exp(surroundings.zoom[frame]))
    pixels = camera.scale[frame] * np.array([camera.mirror, -1.0])
    far_edge = middle + (np.array([0, surroundings.horizon]) - camera.centre[frame]) * pixels
    drift = middle + (surroundings.scroll[frame] - PARALLAX * surroundings.pan[frame]) * pixels
    picture = _window(surroundings.wall, size, magnification, drift)
    floor = _window(surroundings.floor, size, magnification, far_edge)
    # The edge falls between two rows of pixels: the row it crosses shows some of both.
    share = np.clip(np.arange(size) - far_edge[1] + 0.5, 0, 1)
    row = int(np.searchsorted(share, 0, side="right"))
    picture[row + 1 :] = floor[row + 1 :]
    if row < size:
        blend = cv2.addWeighted(floor[row], share[row], picture[row], 1 - share[row], 0)
        picture[row] = blend
    return picture


def add_noise(surroundings: Surroundings, picture: np.ndarray, frame: int) -> np.ndarray:
    """Adds the sensor's noise to a picture, uint8 (size, size, 3)."""
    top, left = surroundings.noise_offsets[frame]
    size = len(picture)
    grain = surroundings.noise[top : top + size, left : left + size]
    return cv2.add(picture, grain, dtype=cv2.CV_8U)
