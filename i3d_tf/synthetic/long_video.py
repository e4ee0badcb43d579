"""Long videos of the embedded dataset: actions in a row, with pauses, whose times are known.

A video is cut from shots. In a shot, a person performs an action and its reversal in turn, and
idles before, between and after; or somebody only walks past. Everything but the movement is there
in the pauses too, so that they differ from the actions in nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from i3d_tf.specs.stick_actions import CLIP_SIZE, CLIP_SIZES, STICK_ACTIONS
from i3d_tf.specs.validation import check_integer
from i3d_tf.synthetic.body import random_body
from i3d_tf.synthetic.clip import Scene, draw_frame, project
from i3d_tf.synthetic.curves import turns
from i3d_tf.synthetic.scripts import perform, stroll
from i3d_tf.synthetic.surroundings import random_surroundings

SHOTS = 3  # with actions, of a video
MOVING_FRAMES = (30, 55)  # of an action, from the least to one after the most
PAUSE_FRAMES = (15, 46)  # of a pause, likewise
STROLL_FRAMES = (50, 91)
MAX_ACTIONS = 3  # of a shot
STROLL_CHANCE = 0.5  # that somebody walks past, before a shot


@dataclass(frozen=True)
class ActionSpan:
    """An action of a long video.

    Attributes:
        action: One of STICK_LABELS.
        start: Its first frame.
        end: One after its last frame.
    """

    action: str
    start: int
    end: int


@dataclass(frozen=True)
class Shot:
    """A part of a video without a cut.

    Attributes:
        script: A key of `i3d_tf.synthetic.scripts.SCRIPTS`; None for somebody who walks past.
        phase: float64 (T,), the progress of the script.
    """

    script: str | None
    phase: np.ndarray


@dataclass(frozen=True)
class Schedule:
    """The shots of a video, and when its actions happen.

    Attributes:
        shots: The shots, in order.
        spans: The actions, in order.
    """

    shots: tuple[Shot, ...]
    spans: tuple[ActionSpan, ...]

    @property
    def num_frames(self) -> int:
        """Number of frames of the video."""
        return sum(len(shot.phase) for shot in self.shots)


def long_schedule(seed: int | tuple[int, ...]) -> Schedule:
    """Draws the shots of a video, and when its actions happen.

    Args:
        seed: Integer >= 0, or a tuple of them. Equal seeds give equal schedules.

    Raises:
        ValueError: The seed is out of range.
    """
    rng = np.random.default_rng(random_seed(seed))
    scripts = tuple(dict.fromkeys(action.script for action in STICK_ACTIONS))
    shots: list[Shot] = []
    spans: list[ActionSpan] = []
    length = 0
    for script in map(str, rng.permutation(scripts)[:SHOTS]):
        if rng.random() < STROLL_CHANCE:
            shots.append(Shot(None, np.linspace(0, 1, rng.integers(*STROLL_FRAMES))))
            length += len(shots[-1].phase)
        at_end = bool(rng.integers(2))
        count = rng.integers(1, MAX_ACTIONS + 1)
        pauses = rng.integers(*PAUSE_FRAMES, size=count + 1).tolist()
        moving = rng.integers(*MOVING_FRAMES, size=count).tolist()
        phase, moves = turns(rng, at_end, pauses, moving)
        names = script_actions(script)
        spans += [
            ActionSpan(names[(number + at_end) % 2], length + start, length + end)
            for number, (start, end) in enumerate(moves)
        ]
        shots.append(Shot(script, phase))
        length += len(phase)
    return Schedule(tuple(shots), tuple(spans))


def draw_long_video(seed: int | tuple[int, ...], size: int = CLIP_SIZE) -> Iterator[np.ndarray]:
    """Draws the frames of a video that goes by its schedule.

    Args:
        seed: See `long_schedule`.
        size: Pixels, the side of a frame, within CLIP_SIZES.

    Yields:
        uint8 (size, size, 3), RGB, at 25 frames per second.

    Raises:
        ValueError: An argument is out of range.
    """
    size = int(check_integer("size", size, *CLIP_SIZES))
    rng = np.random.default_rng(
        [*random_seed(seed), 1]
    )  # the schedule has random numbers of its own
    for shot in long_schedule(seed).shots:
        scene = _scene(rng, shot, size)
        yield from (draw_frame(scene, frame) for frame in range(1, scene.num_frames))


def script_actions(script: str) -> tuple[str, str]:
    """Returns the names of the two actions of a script, forwards and backwards."""
    forwards, backwards = sorted(
        (action for action in STICK_ACTIONS if action.script == script),
        key=lambda action: action.backwards,
    )
    return forwards.name, backwards.name


def with_start(phase: np.ndarray) -> np.ndarray:
    """Returns a script's progress with one frame more before it, at the script's start.

    Scripts take the first frame for their start; a ladder's rungs are chosen by it.
    """
    return np.concatenate([[0.0], phase])


def random_seed(seed: int | tuple[int, ...]) -> list[int]:
    """Returns a seed, an integer >= 0 or a tuple of them, as a list; raises ValueError."""
    parts = seed if isinstance(seed, tuple) else (seed,)
    return [int(check_integer("seed", part, 0)) for part in parts]


def _scene(rng, shot, size):
    """Builds a shot, with one frame more at its start."""
    phase = with_start(shot.phase)
    surroundings = random_surroundings(rng, len(phase), size)
    if rng.integers(2):
        surroundings = surroundings.backwards()
    body = random_body(rng, surroundings.colour)
    if shot.script is None:
        performance = stroll(phase, body, rng)
    else:
        performance = perform(shot.script, phase, body, rng)
    camera = surroundings.camera(performance, int(rng.choice((-1, 1))), size)
    groups = (*surroundings.behind, *performance.groups, *surroundings.before)
    polygons = tuple(project(group, camera) for group in groups)
    return Scene(performance, surroundings, camera, polygons)
