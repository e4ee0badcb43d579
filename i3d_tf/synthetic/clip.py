"""Clips of the embedded dataset: frames from an action and a seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from i3d_tf.specs.stick_actions import CLIP_SIZE, CLIP_SIZES, SPLITS, STICK_ACTIONS, stick_action
from i3d_tf.specs.validation import check_choice, check_integer
from i3d_tf.synthetic.body import random_body
from i3d_tf.synthetic.camera import Camera
from i3d_tf.synthetic.curves import action_phase
from i3d_tf.synthetic.scripts import Performance, perform
from i3d_tf.synthetic.shapes import Group
from i3d_tf.synthetic.surroundings import (
    Surroundings,
    add_noise,
    draw_ground,
    random_surroundings,
)

# Every aspect of a clip has its own stream of random numbers, so that the draws of one do not shift
# another's: for one seed, all actions share the timing, the body and the surroundings.
TIMING, BODY, SCRIPT, SURROUNDINGS, MIRROR, TIME_ARROW = range(6)

SUBPIXEL_BITS = 6  # polygons' corners are rounded to 1/64 pixel


@dataclass(frozen=True)
class Scene:
    """All tracks and textures of a clip.

    Attributes:
        performance: The performed action.
        surroundings: Its surroundings.
        camera: The camera.
        polygons: (outline or None, (colour, int32 (T, N, 2) in 1/64 pixels) of each part) of each
            group, in drawing order.
    """

    performance: Performance
    surroundings: Surroundings
    camera: Camera
    polygons: tuple

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self.camera.scale)


def clip_seed(dataset_seed: int, split: str, action: str, index: int) -> tuple[int, ...]:
    """Returns the seed of one clip of the dataset, for `render_clip`.

    The two members of a pair share it, so that their clips differ only in motion: the person, the
    clothes, the place and the length are the same.

    Args:
        dataset_seed: Integer >= 0.
        split: One of SPLITS.
        action: One of STICK_LABELS.
        index: Number of the clip within the split and the action, >= 0.

    Raises:
        ValueError: An argument is out of range.
    """
    check_choice("split", split, SPLITS)
    scripts = tuple(dict.fromkeys(action.script for action in STICK_ACTIONS))
    return (
        int(check_integer("dataset_seed", dataset_seed, 0)),
        SPLITS.index(split),
        scripts.index(stick_action(action).script),
        int(check_integer("index", index, 0)),
    )


def build_scene(
    action: str,
    seed: int | tuple[int, ...],
    size: int = CLIP_SIZE,
    flip_time_arrow: bool = False,
) -> Scene:
    """Builds all tracks and textures of a clip.

    Args:
        action: One of STICK_LABELS.
        seed: Integer >= 0, or a tuple of them, such as `clip_seed` returns.
        size: Pixels, the side of a frame, within CLIP_SIZES.
        flip_time_arrow: Reverses the camera and the surroundings. The reversed action with the
            arrow flipped is the same clip backwards, frame by frame.

    Raises:
        ValueError: An argument is out of range.
    """
    chosen = stick_action(action)
    size = int(check_integer("size", size, *CLIP_SIZES))
    parts = seed if isinstance(seed, tuple) else (seed,)
    seed = tuple(int(check_integer("seed", part, 0)) for part in parts)

    def stream(aspect):
        return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(aspect,)))

    phase = action_phase(stream(TIMING))
    surroundings = random_surroundings(stream(SURROUNDINGS), len(phase), size)
    body = random_body(stream(BODY), surroundings.colour)
    performance = perform(chosen.script, phase, body, stream(SCRIPT))
    # Tracks are reversed after they are made: the same numbers, bit for bit.
    if chosen.backwards:
        performance = performance.backwards()
    if bool(stream(TIME_ARROW).integers(2)) != flip_time_arrow:
        surroundings = surroundings.backwards()
    mirror = -1 if chosen.mirrored and stream(MIRROR).integers(2) else 1
    camera = surroundings.camera(performance, mirror, size)
    groups = (*surroundings.behind, *performance.groups, *surroundings.before)
    polygons = tuple(project(group, camera) for group in groups)
    return Scene(performance, surroundings, camera, polygons)


def draw_frame(scene: Scene, frame: int) -> np.ndarray:
    """Draws one frame of a scene, independently of the others.

    Args:
        scene: The scene.
        frame: Index in [0, scene.num_frames).

    Returns:
        uint8 (size, size, 3), RGB.
    """
    return draw_polygons(scene.surroundings, scene.camera, scene.polygons, frame)


def draw_polygons(
    surroundings: Surroundings, camera: Camera, polygons: Sequence, frame: int
) -> np.ndarray:
    """Draws one frame of some surroundings and of polygons before them.

    Args:
        surroundings: The wall, the floor and the noise.
        camera: The camera.
        polygons: See `Scene.polygons`.
        frame: Index of the frame.

    Returns:
        uint8 (size, size, 3), RGB.
    """
    picture = draw_ground(surroundings, camera, frame)
    # An outline is a stroke under the fill, which hides half of it; two pixels wide at size 128.
    stroke = max(1, round(camera.size / 64))
    for outline, parts in polygons:
        if outline is not None:
            strokes = [points[frame] for _, points in parts]
            cv2.polylines(picture, strokes, True, outline, stroke, cv2.LINE_AA, SUBPIXEL_BITS)
        for colour, points in parts:
            cv2.fillConvexPoly(picture, points[frame], colour, cv2.LINE_AA, SUBPIXEL_BITS)
    return add_noise(surroundings, picture, frame)


def render_clip(action: str, seed: int | tuple[int, ...], size: int = CLIP_SIZE) -> np.ndarray:
    """Renders a clip.

    Args:
        action: One of STICK_LABELS.
        seed: Integer >= 0, or a tuple of them, such as `clip_seed` returns. Equal seeds give equal
            frames, and actions with equal seeds share the person, the place and the timing.
        size: Pixels, the side of a frame, within CLIP_SIZES.

    Returns:
        uint8 (T, size, size, 3), RGB, at 25 frames per second; T is within CLIP_FRAMES.

    Raises:
        ValueError: An argument is out of range.
    """
    scene = build_scene(action, seed, size)
    return np.stack([draw_frame(scene, frame) for frame in range(scene.num_frames)])


def project(group: Group, camera: Camera) -> tuple:
    """Returns the outline and the parts of a group as a camera sees them, see `Scene.polygons`."""
    parts = []
    for part in group.parts:
        pixels = camera.project(part.points) * 2**SUBPIXEL_BITS
        parts.append((part.colour, np.rint(pixels).astype(np.int32)))
    return group.outline, tuple(parts)
