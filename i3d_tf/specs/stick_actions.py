"""The embedded dataset: twelve actions of stick people, in six pairs of time reversals.

The two members of a pair perform one script, one of them backwards, so that a single frame could
belong to either: only motion tells them apart. Every action may be mirrored, so that training may
flip clips at random.
"""

from dataclasses import dataclass

from i3d_tf.specs.streams import STREAMS
from i3d_tf.specs.validation import check_choice

DEMO = "demo"  # clips for neither training nor testing
SPLITS = ("train", "test", DEMO)

# Raised whenever a seed gives other pictures, so that a folder never mixes two revisions.
REVISION = 1
TRAIN_CLIPS = 30  # per action
TEST_CLIPS = 10
CLIP_SIZE = 128  # pixels, side of a frame
CLIP_SIZES = (64, 1024)  # pixels, smallest and largest side of a frame
CLIP_FRAMES = (44, 64)  # frames of the shortest and the longest clip: about 2 s at 25 frames/s

# The kinds of videos, and how many there are by default: for training and for testing. Of clips it
# is the number for each action.
CLIPS, INTERVALS, SCENES = "clips", "intervals", "scenes"
KINDS = {CLIPS: (TRAIN_CLIPS, TEST_CLIPS), INTERVALS: (60, 20), SCENES: (60, 20)}
SCENE_SIZE = 192  # pixels, side of a frame with several people


@dataclass(frozen=True)
class StickAction:
    """One action of the embedded dataset.

    Attributes:
        name: Name of the class and of its folder.
        reversal: Name of the same action played backwards.
        script: Name of the script that both members of the pair perform.
        backwards: Whether this member plays the script from its end to its start.
        mirrored: Whether the mirror image is the same action; then half of the clips are mirrored.
        description: The action in words.
    """

    name: str
    reversal: str
    script: str
    backwards: bool
    mirrored: bool
    description: str


# fmt: off
STICK_ACTIONS = (
    #           name            reversal        script    back-  mirr-  description
    #                                                     wards  ored
    StickAction("sit_down",     "stand_up",     "sit",    False, True, "sits down on a chair"),
    StickAction("stand_up",     "sit_down",     "sit",    True,  True, "stands up from a chair"),
    StickAction("open_door",    "close_door",   "door",   False, True, "opens a door"),
    StickAction("close_door",   "open_door",    "door",   True,  True, "closes a door"),
    StickAction("pick_up",      "put_down",     "lift",   False, True, "picks a box up"),
    StickAction("put_down",     "pick_up",      "lift",   True,  True, "puts a box down"),
    StickAction("climb_up",     "climb_down",   "ladder", False, True, "climbs up a ladder"),
    StickAction("climb_down",   "climb_up",     "ladder", True,  True, "climbs down a ladder"),
    StickAction("put_on_hat",   "take_off_hat", "hat",    False, True, "puts a hat on"),
    StickAction("take_off_hat", "put_on_hat",   "hat",    True,  True, "takes a hat off"),
    StickAction("push_crate",   "pull_crate",   "crate",  False, True, "pushes a crate forwards"),
    StickAction("pull_crate",   "push_crate",   "crate",  True,  True, "pulls a crate backwards"),
)
# fmt: on

# The small networks that ship, by stream.
STICK_NETWORKS = {stream: f"stick_actions_{stream}" for stream in STREAMS}

STICK_LABELS = tuple(sorted(action.name for action in STICK_ACTIONS))  # class k is STICK_LABELS[k]


def stick_action(name: str) -> StickAction:
    """Returns one of `STICK_ACTIONS` by its name.

    Raises:
        ValueError: There is no such action.
    """
    check_choice("action", name, STICK_LABELS)
    return next(action for action in STICK_ACTIONS if action.name == name)
