"""The embedded dataset: twelve actions of stick people, in six pairs of time reversals.

The two members of a pair perform one script, one of them backwards, so that a frame taken at an
unknown time belongs as well to the one as to the other: only motion tells them apart. Every action
may be mirrored, so that training may flip clips at random.
"""

from dataclasses import dataclass

DEMO = "demo"  # clips nobody trains or tests on
SPLITS = ("train", "test", DEMO)

REVISION = 1  # goes up whenever the same seed gives other pictures, so that no folder mixes the two
TRAIN_CLIPS = 30  # per action
TEST_CLIPS = 10
CLIP_SIZE = 128  # pixels, the side of a frame
CLIP_SIZES = (64, 1024)  # pixels, the smallest and the largest side
CLIP_FRAMES = (44, 64)  # frames, the shortest and the longest clip: about 2 s at 25 frames/s


@dataclass(frozen=True)
class StickAction:
    """One action of the embedded dataset.

    Attributes:
        name: The class name, which is also the folder name.
        reversal: The action that this one becomes when it is played backwards.
        script: What both members of the pair perform.
        backwards: Whether this member plays the script from its end to its start.
        mirrored: Whether the mirror image is the same action; then half of the clips are mirrored.
        description: What is seen.
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

STICK_LABELS = tuple(sorted(action.name for action in STICK_ACTIONS))  # class k is STICK_LABELS[k]


def stick_action(name):
    """Looks an action up by its name.

    Args:
        name: One of STICK_LABELS.

    Returns:
        The StickAction.

    Raises:
        ValueError: If there is no such action.
    """
    for action in STICK_ACTIONS:
        if action.name == name:
            return action
    raise ValueError(f"`action` must be one of {STICK_LABELS}; received {name!r}.")
