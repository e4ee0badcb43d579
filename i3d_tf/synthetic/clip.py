"""Clips of the embedded dataset: an action and a seed in, frames out."""

import operator
from dataclasses import dataclass

import cv2
import numpy as np

from i3d_tf.specs.stick_actions import CLIP_SIZE, CLIP_SIZES, SPLITS, STICK_ACTIONS, stick_action
from i3d_tf.synthetic.body import random_body
from i3d_tf.synthetic.camera import Camera
from i3d_tf.synthetic.curves import action_phase
from i3d_tf.synthetic.scripts import Performance, perform
from i3d_tf.synthetic.surroundings import (
    Surroundings,
    add_noise,
    draw_ground,
    random_surroundings,
)

# Every aspect of a clip has its own stream of random numbers, so that what one aspect draws does
# not shift another: for one seed, all actions share the timing, the body and the surroundings.
TIMING, BODY, SCRIPT, SURROUNDINGS, MIRROR, TIME_ARROW = range(6)

SUBPIXEL_BITS = 6  # polygons' corners are rounded to 1/64 pixel


@dataclass(frozen=True)
class Scene:
    """Everything that a clip's frames are drawn from.

    Attributes:
        performance: Performance of the action.
        surroundings: Surroundings.
        camera: Camera.
        polygons: Tuple of (outline or None, tuple of (colour, int32 (T, N, 2) in 1/64 pixels)).
    """

    performance: Performance
    surroundings: Surroundings
    camera: Camera
    polygons: tuple

    @property
    def num_frames(self):
        """Frames in the clip."""
        return len(self.camera.scale)


def clip_seed(dataset_seed, split, action, index):
    """The seed of one clip of the dataset.

    The two members of a pair share it: whatever can be told without motion (the person, the
    clothes, the place, the length) is there in both of their clips.

    Args:
        dataset_seed: Integer >= 0.
        split: One of SPLITS.
        action: One of STICK_LABELS.
        index: Number of the clip within the split and the action, >= 0.

    Returns:
        Tuple of integers, a seed for `render_clip`.
    """
    if split not in SPLITS:
        raise ValueError(f"`split` must be one of {SPLITS}; received {split!r}.")
    scripts = tuple(dict.fromkeys(action.script for action in STICK_ACTIONS))
    return (
        _natural("dataset_seed", dataset_seed),
        SPLITS.index(split),
        scripts.index(stick_action(action).script),
        _natural("index", index),
    )


def build_scene(action, seed, size=CLIP_SIZE, flip_time_arrow=False):
    """Decides everything about a clip, before anything is drawn.

    Args:
        action: One of STICK_LABELS.
        seed: Integer >= 0, or a tuple of them, such as `clip_seed` returns.
        size: Pixels, the side of a frame, within CLIP_SIZES.
        flip_time_arrow: Runs the camera and the surroundings the other way than the seed says. The
            reversed action with the arrow flipped is the same clip backwards, frame by frame.

    Returns:
        A Scene.
    """
    chosen = stick_action(action)
    size = _checked_size(size)
    seed = tuple(_natural("seed", part) for part in (seed if isinstance(seed, tuple) else (seed,)))

    def stream(aspect):
        return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(aspect,)))

    phase = action_phase(stream(TIMING))
    surroundings = random_surroundings(stream(SURROUNDINGS), len(phase), size)
    body = random_body(stream(BODY), surroundings.colour)
    performance = perform(chosen.script, phase, body, stream(SCRIPT))
    # Tracks are turned round after they are made: the same numbers, to the last bit.
    if chosen.backwards:
        performance = performance.backwards()
    if bool(stream(TIME_ARROW).integers(2)) != flip_time_arrow:
        surroundings = surroundings.backwards()
    mirror = -1 if chosen.mirrored and stream(MIRROR).integers(2) else 1
    camera = surroundings.camera(performance, mirror, size)
    groups = (*surroundings.behind, *performance.groups, *surroundings.before)
    polygons = tuple(_project(group, camera) for group in groups)
    return Scene(performance, surroundings, camera, polygons)


def draw_frame(scene, frame):
    """Draws one frame of a scene; no frame depends on another.

    Args:
        scene: Scene.
        frame: Index in [0, scene.num_frames).

    Returns:
        uint8 (size, size, 3), RGB.
    """
    picture = draw_ground(scene.surroundings, scene.camera, frame)
    # An outline is a stroke under the fill, half of it hidden; two pixels wide at size 128.
    stroke = max(1, round(scene.camera.size / 64))
    for outline, parts in scene.polygons:
        if outline is not None:
            strokes = [points[frame] for _, points in parts]
            cv2.polylines(picture, strokes, True, outline, stroke, cv2.LINE_AA, SUBPIXEL_BITS)
        for colour, points in parts:
            cv2.fillConvexPoly(picture, points[frame], colour, cv2.LINE_AA, SUBPIXEL_BITS)
    return add_noise(scene.surroundings, picture, frame)


def render_clip(action, seed, size=CLIP_SIZE):
    """Renders a clip.

    Args:
        action: One of STICK_LABELS.
        seed: Integer >= 0, or a tuple of them, such as `clip_seed` returns. Equal seeds give equal
            frames, and actions with equal seeds share the person, the place and the timing.
        size: Pixels, the side of a frame, within CLIP_SIZES.

    Returns:
        uint8 (T, size, size, 3), RGB, to be shown at 25 frames/s; T is within CLIP_FRAMES.
    """
    scene = build_scene(action, seed, size)
    return np.stack([draw_frame(scene, frame) for frame in range(scene.num_frames)])


def _project(group, camera):
    parts = []
    for part in group.parts:
        pixels = camera.project(part.points) * 2**SUBPIXEL_BITS
        parts.append((part.colour, np.rint(pixels).astype(np.int32)))
    return group.outline, tuple(parts)


def _natural(name, value):
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if number < 0:
        raise ValueError(f"`{name}` must be an integer >= 0; received {value!r}.")
    return number


def _checked_size(size):
    smallest, largest = CLIP_SIZES
    number = _natural("size", size)
    if not smallest <= number <= largest:
        raise ValueError(f"`size` must be within {smallest}..{largest} pixels; received {size!r}.")
    return number
