"""The networks that the page offers, opened when they are first used."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from i3d_tf.explain.explain_videos import Explainer, ExplainOptions
from i3d_tf.explain.saliency import GRADCAM
from i3d_tf.inference.predictor import Predictor
from i3d_tf.inference.sliding_window import WINDOW_FRAMES, WindowPredictor
from i3d_tf.specs.releases import RELEASES
from i3d_tf.specs.stick_actions import STICK_NETWORKS
from i3d_tf.specs.streams import JOINT
from i3d_tf.specs.validation import check_choice
from i3d_tf.weights.store import find_weights
from i3d_tf.zoo.checkpoint import find_stream
from i3d_tf.zoo.resolve import checkpoint_dirs

MAX_OPEN = 3  # networks in memory; the one that was not used for the longest time is closed


@dataclass(frozen=True)
class OfferedNetwork:
    """A network, or two whose logits are added, by a name.

    Attributes:
        name: Its name on the page and in the JSON interface.
        stream: "rgb", "flow" or "joint".
        checkpoints: Stream to a reference, see `i3d_tf.Predictor`.
    """

    name: str
    stream: str
    checkpoints: dict[str, str]


def offered_networks(
    checkpoints: Sequence[str] = (),
    rgb_checkpoint: str | None = None,
    flow_checkpoint: str | None = None,
    checkpoint_dir: os.PathLike | str | None = None,
) -> dict[str, OfferedNetwork]:
    """Returns what can be chosen: networks that were named, those that ship, releases in the cache.

    Args:
        checkpoints: References to networks of one stream each.
        rgb_checkpoint: Reference to an RGB network, whose logits are added to those of
            `flow_checkpoint` where both are given.
        flow_checkpoint: Reference to a flow network.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.

    Returns:
        Name to network, in the order in which they are shown; the first is chosen.

    Raises:
        FileNotFoundError: A named network does not exist.
        ValueError: A named network has no stream.
    """
    named = {"rgb": rgb_checkpoint, "flow": flow_checkpoint}
    groups = [{stream: text for stream, text in named.items() if text is not None}]
    groups += [{find_stream(text, checkpoint_dir): text} for text in checkpoints]
    groups += [STICK_NETWORKS, *({stream: name} for stream, name in STICK_NETWORKS.items())]
    places = checkpoint_dirs(checkpoint_dir)
    for name, release in RELEASES.items():
        if any(find_weights(name, place) for place in places):
            groups.append({release.stream: name})
    offered: dict[str, OfferedNetwork] = {}
    for group in groups:
        if group:
            stream = JOINT if len(group) > 1 else next(iter(group))
            name = "+".join(_shown(text) for text in group.values())
            while name in offered and offered[name].checkpoints != group:
                name += "'"  # two folders of one name
            offered[name] = OfferedNetwork(name, stream, dict(group))
    return offered


def _shown(reference):
    """Returns the last part of a path: the page does not show folders of the server."""
    return os.path.basename(os.path.normpath(reference))


class OpenNetwork:
    """An offered network, opened.

    Attributes:
        name: Its name.
        checkpoints: See `OfferedNetwork`.
        clips: The predictor for clips.
    """

    def __init__(
        self,
        offered: OfferedNetwork,
        checkpoint_dir: os.PathLike | str | None,
        flow_engine: str,
    ):
        self.name, self.checkpoints = offered.name, offered.checkpoints
        self._arguments = (offered.stream, offered.checkpoints, checkpoint_dir, flow_engine)
        self.clips = Predictor(*self._arguments)

    @property
    def window(self) -> int:
        """Frames of a window of a long video."""
        return min(WINDOW_FRAMES, self.clips.networks.protocol.frames)

    @cached_property
    def explainer(self) -> Explainer | None:
        """The writer of Grad-CAM maps; None where a network has none."""
        try:
            return Explainer(self.clips, ExplainOptions(GRADCAM))
        except ValueError:
            return None

    @cached_property
    def windows(self) -> WindowPredictor | None:
        """The predictor for long videos; None where a network cannot see a video in one piece."""
        if not self.clips.networks.protocol.is_start:
            return None
        try:
            return WindowPredictor(*self._arguments, window=self.window)
        except ValueError:
            return None


class NetworkShelf:
    """Offered networks; those used last are open.

    Args:
        offered: Name to network, see `offered_networks`.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        flow_engine: See `i3d_tf.compute_flow`.
    """

    def __init__(
        self,
        offered: dict[str, OfferedNetwork],
        checkpoint_dir: os.PathLike | str | None = None,
        flow_engine: str = "auto",
    ):
        self.offered, self.checkpoint_dir = offered, checkpoint_dir
        self._flow_engine = flow_engine
        self._open: OrderedDict[str, OpenNetwork] = OrderedDict()

    @property
    def names(self) -> list[str]:
        """Names of all networks."""
        return list(self.offered)

    @property
    def rgb_names(self) -> list[str]:
        """Names of the networks of RGB alone."""
        return [name for name, network in self.offered.items() if network.stream == "rgb"]

    def open(self, name: str) -> OpenNetwork:
        """Returns a network, which is opened unless it is open already.

        Raises:
            ValueError: There is none of this name, or it cannot be opened.
        """
        check_choice("network", name, self.offered)
        if name not in self._open:
            offered = self.offered[name]
            self._open[name] = OpenNetwork(offered, self.checkpoint_dir, self._flow_engine)
        self._open.move_to_end(name)
        while len(self._open) > MAX_OPEN:
            self._open.popitem(last=False)
        return self._open[name]
