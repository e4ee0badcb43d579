"""Conditions of a temporal ablation: frames of a clip in other orders, or one of them repeated.

| condition | frames |
| --- | --- |
| `original` | as they are |
| `reversed` | from the last to the first |
| `shuffled` | in a random order |
| `shuffled:8` | in a random order within every 8 consecutive frames |
| `subsampled:4` | every 4th frame, shown 4 times |
| `frozen:middle` | the middle frame, repeated |
| `frozen:best` | of some frames, the one that the network is most confident about, repeated |
| `frozen:oracle` | of some frames, the one that is best for the video's label, repeated |

The selection of `frozen:best` uses no label (Huang et al., "What Makes a Video a Video: Analyzing
Temporal Information in Video Understanding Models and Datasets", CVPR 2018).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from i3d_tf.specs.validation import check_integer

ORIGINAL, REVERSED, SHUFFLED, SUBSAMPLED = "original", "reversed", "shuffled", "subsampled"
FROZEN = "frozen"
MIDDLE, BEST, ORACLE = SELECTIONS = ("middle", "best", "oracle")  # of a frame to repeat
FORMS = (
    REVERSED,
    SHUFFLED,
    f"{SHUFFLED}:N",
    f"{SUBSAMPLED}:N",
    *(f"{FROZEN}:{selection}" for selection in SELECTIONS),
)
DEFAULT_CONDITIONS = (
    *(f"{FROZEN}:{selection}" for selection in SELECTIONS),
    SHUFFLED,
    f"{SHUFFLED}:8",
    REVERSED,
    f"{SUBSAMPLED}:4",
)
MIN_COUNT, MAX_COUNT = 2, 1 << 16  # N above: fewer would change nothing


@dataclass(frozen=True)
class Condition:
    """A change of the frames of a clip.

    Attributes:
        kind: The part of its name before the colon.
        count: Frames of a block, or of a step; None where there is none.
        selection: Of one frame to repeat: one of `SELECTIONS`; else None.
    """

    kind: str
    count: int | None = None
    selection: str | None = None

    @property
    def name(self) -> str:
        """The text that `parse_condition` takes."""
        detail = self.selection if self.count is None else self.count
        return self.kind if detail is None else f"{self.kind}:{detail}"

    @property
    def title(self) -> str:
        """A short description, for tables."""
        if self.kind == SHUFFLED and self.count is not None:
            return f"shuffled within {self.count} frames"
        if self.kind == SUBSAMPLED:
            return f"one of {self.count} frames"
        titles = {
            MIDDLE: "middle frame, repeated",
            BEST: "most confident frame, repeated",
            ORACLE: "best frame by label, repeated",
        }
        return self.kind if self.selection is None else titles[self.selection]


def parse_condition(text: str) -> Condition:
    """Returns a condition by its name, see above.

    Raises:
        ValueError: There is no such condition.
    """
    kind, _, detail = text.strip().partition(":")
    if kind in (ORIGINAL, REVERSED, SHUFFLED) and not detail:
        return Condition(kind)
    if kind in (SHUFFLED, SUBSAMPLED) and detail.isascii() and detail.isdigit():
        count = check_integer(f"N of {kind}", int(detail[:9]), MIN_COUNT, MAX_COUNT)
        return Condition(kind, count=count)
    if kind == FROZEN and detail in SELECTIONS:
        return Condition(kind, selection=detail)
    raise ValueError(
        f"`conditions` must be among {', '.join(FORMS)}, N a number of frames; received {text!r}."
    )


def parse_conditions(names: Iterable[str]) -> tuple[Condition, ...]:
    """Returns conditions by their names, each once, the frames as they are first.

    Raises:
        ValueError: See `parse_condition`; or there is none but the original.
    """
    found = tuple(dict.fromkeys(map(parse_condition, (ORIGINAL, *names))))
    if len(found) == 1:
        raise ValueError(f"`conditions` must be one or more of {', '.join(FORMS)}; received none.")
    return found


def frame_order(
    condition: Condition, num_frames: int, generator: np.random.Generator
) -> np.ndarray:
    """Returns the order of a clip's frames under a condition that needs no choice of a frame.

    Args:
        condition: Of another kind than `FROZEN`.
        num_frames: Frames of the clip.
        generator: Source of random numbers, for shuffling.

    Returns:
        int64 (num_frames,): frame t of the changed clip is this one of the clip.
    """
    frames, count = np.arange(num_frames), condition.count or num_frames
    if condition.kind == ORIGINAL:
        return frames
    if condition.kind == REVERSED:
        return frames[::-1].copy()
    if condition.kind == SUBSAMPLED:
        return frames // count * count
    if condition.kind == SHUFFLED:
        parts = np.split(frames, range(count, num_frames, count))
        return np.concatenate([generator.permutation(part) for part in parts])
    raise ValueError(f"`condition` must be no frozen frame; received {condition.name}.")


def frozen_candidates(num_frames: int, count: int, middle: int) -> list[int]:
    """Returns the frames among which one is selected to be repeated.

    Args:
        num_frames: Frames of the clip.
        count: Frames that are spread evenly; an odd number of them includes the middle one.
        middle: A frame that is among them in any case.

    Returns:
        Indices, ascending, each once.
    """
    spread = {(2 * k + 1) * num_frames // (2 * count) for k in range(count)}
    return sorted(spread | {middle})
