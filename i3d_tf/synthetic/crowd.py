"""Scenes of the embedded dataset: two or three people side by side, who do different things.

All people act in rounds: at the key frame of a round, everybody is within an action. Who is where,
and who does what, is random, so that only a look at each person tells.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from i3d_tf.specs.stick_actions import CLIP_SIZES, SCENE_SIZE, STICK_ACTIONS
from i3d_tf.specs.validation import check_integer
from i3d_tf.synthetic.body import random_body
from i3d_tf.synthetic.camera import Camera
from i3d_tf.synthetic.clip import draw_polygons, project
from i3d_tf.synthetic.curves import turns
from i3d_tf.synthetic.long_video import random_seed, script_actions, with_start
from i3d_tf.synthetic.scripts import Performance, perform
from i3d_tf.synthetic.shapes import Group, Part
from i3d_tf.synthetic.surroundings import Surroundings, random_surroundings

PEOPLE = (2, 3)
SHARE_OF_THREE = 1 / 3  # of the scenes
ROUNDS = 3
ROUND_FRAMES = 64
KEY_FRAME = 32  # of a round
# Frames: of an action, and its start in its round, from the least to one after the most. So the
# frames 16 to 37 of a round are within everybody's action, and a frame is left between two.
MOVING_FRAMES, START = (30, 48), (8, 17)
APART = 1.1  # world units from person to person
MARGIN = 0.8  # world units from the middle of the outer people's actions to the picture's side
TALL = 1.9  # world units, room for the tallest action
BOX_MARGIN = 0.12  # world units round the joints: a head and its hat, hands, shoes


@dataclass(frozen=True)
class Crowd:
    """All tracks and textures of a scene.

    Attributes:
        performances: Of each person, in the world of the scene.
        actions: Name of each person's action in each round.
        surroundings: The surroundings.
        camera: The camera.
        polygons: See `i3d_tf.synthetic.clip.Scene`.
    """

    performances: tuple[Performance, ...]
    actions: tuple[tuple[str, ...], ...]
    surroundings: Surroundings
    camera: Camera
    polygons: tuple

    @property
    def num_frames(self) -> int:
        """Number of frames; the first one of the tracks is not shown."""
        return len(self.camera.scale) - 1

    def frames(self) -> Iterator[np.ndarray]:
        """Draws the frames, uint8 (size, size, 3), RGB, at 25 a second."""
        for frame in range(1, self.num_frames + 1):
            yield draw_polygons(self.surroundings, self.camera, self.polygons, frame)

    def boxes(self, frame: int) -> np.ndarray:
        """Returns the people's boxes in a frame: round their joints, with a margin.

        Args:
            frame: Index of the frame.

        Returns:
            float64 (people, 4): (x1, y1, x2, y2), shares of the side of the picture, in [0, 1].
        """
        rows = []
        for performance in self.performances:
            joints = np.stack(list(performance.joints.values()), axis=1)  # (T, joints, 2)
            points = (self.camera.project(joints)[frame + 1] + 0.5) / self.camera.size
            margin = BOX_MARGIN * self.camera.scale[frame + 1] / self.camera.size
            corners = points.min(axis=0) - margin, points.max(axis=0) + margin
            rows.append(np.clip(np.concatenate(corners), 0, 1))
        return np.stack(rows)


def build_crowd(seed: int | tuple[int, ...], size: int = SCENE_SIZE) -> Crowd:
    """Builds a scene.

    Args:
        seed: Integer >= 0, or a tuple of them. Equal seeds give equal scenes.
        size: Pixels, the side of a frame, within CLIP_SIZES.

    Raises:
        ValueError: An argument is out of range.
    """
    size = int(check_integer("size", size, *CLIP_SIZES))
    rng = np.random.default_rng(random_seed(seed))
    people = PEOPLE[int(rng.random() < SHARE_OF_THREE)]
    scripts = tuple(dict.fromkeys(action.script for action in STICK_ACTIONS))
    chosen = list(map(str, rng.permutation(scripts)[:people]))
    side = (people - 1) * APART + 2 * MARGIN  # world units of the picture
    num_frames = ROUNDS * ROUND_FRAMES
    surroundings = random_surroundings(rng, num_frames + 1, size)
    if rng.integers(2):
        surroundings = surroundings.backwards()
    heights = rng.uniform(0, side - TALL, size=people)  # on a floor that is seen from above
    surroundings = dataclasses.replace(surroundings, horizon=float(heights.max()) + 0.12)
    performances, actions = [], []
    for number, script in enumerate(chosen):
        at_end = bool(rng.integers(2))
        phase = _phase(rng, at_end)
        body = random_body(rng, surroundings.colour)
        performance = perform(script, with_start(phase), body, rng)
        across = (number - (people - 1) / 2) * APART + rng.uniform(-0.05, 0.05)
        mirror = int(rng.choice((-1, 1)))
        performances.append(_placed(performance, across, float(heights[number]), mirror))
        names = script_actions(script)
        actions.append(tuple(names[(k + at_end) % 2] for k in range(ROUNDS)))
    centre = np.array([0.0, side / 2 - 0.12]) + surroundings.pan
    camera = Camera(centre, size / side * np.exp(surroundings.zoom - 0.04), 1, size)
    # Those who stand higher in the picture are farther away.
    order = np.argsort(-heights)
    groups = [group for number in order for group in performances[number].groups]
    groups = [*surroundings.behind, *groups, *surroundings.before]
    polygons = tuple(project(group, camera) for group in groups)
    return Crowd(tuple(performances), tuple(actions), surroundings, camera, polygons)


def key_frames() -> tuple[int, ...]:
    """Returns the frames of a scene in which everybody acts, one of each round."""
    return tuple(k * ROUND_FRAMES + KEY_FRAME for k in range(ROUNDS))


def _phase(rng, at_end):
    """Draws a person's progress, an action in each round."""
    moves = rng.integers(*MOVING_FRAMES, size=ROUNDS)
    starts = rng.integers(*START, size=ROUNDS) + ROUND_FRAMES * np.arange(ROUNDS)
    edges = np.concatenate([[0], np.stack([starts, starts + moves], axis=1).ravel()])
    edges = [*edges.tolist(), ROUNDS * ROUND_FRAMES]
    pauses = [end - start for start, end in zip(edges[::2], edges[1::2], strict=True)]
    phase, _ = turns(rng, at_end, pauses, moves.tolist())
    return phase


def _placed(performance, across, height, mirror):
    """Returns a performance that takes place elsewhere, maybe mirrored."""
    scale = np.array([mirror, 1.0])
    offset = np.array([across - mirror * performance.centre[0], height])
    joints = {name: track * scale + offset for name, track in performance.joints.items()}
    groups = tuple(
        Group(
            tuple(Part(part.points * scale + offset, part.colour) for part in group.parts),
            group.outline,
        )
        for group in performance.groups
    )
    return Performance(joints, groups, (across, height + 0.5), performance.height)
