"""A short video of the parts of a clip that speak for a class, as the bytes of an mp4."""

from itertools import islice
from pathlib import Path

import numpy as np

from i3d_tf.explain.explain_videos import Explainer
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.decode import read_frames
from i3d_tf.viz.heat import overlay_heat
from i3d_tf.web.clip_pictures import MAX_FRAMES, encode, enlarge, enlargement


def saliency_clip(path: Path, explainer: Explainer, class_index: int, protocol: Protocol) -> bytes:
    """Draws the map of each stream over the frames of the clip that is explained.

    Args:
        path: The video.
        explainer: The explainer of the network.
        class_index: Index of the class among the logits.
        protocol: The network's protocol.

    Returns:
        An mp4 at the protocol's frame rate; of more than MAX_FRAMES frames, the first.

    Raises:
        VideoError: The video cannot be read.
    """
    explained = explainer.explain(path, class_index)
    first = min(one.heat.first for one in explained)
    last = min(max(one.heat.last for one in explained), first + MAX_FRAMES - 1)
    frames = read_frames(path, protocol.frame_rate, protocol.short_side)
    pictures = []
    for index, frame in enumerate(islice(frames, first, last + 1), first):
        height, width, _ = frame.shape
        heats = [one.heat.heat(index, height, width) for one in explained]
        seen = [one.heat.crop.sees(height, width) for one in explained]
        painted = [overlay_heat(frame, *pair) for pair in zip(heats, seen, strict=True)]
        pictures.append(np.hstack(painted))
    return encode(enlarge(np.stack(pictures), enlargement(protocol)), protocol.frame_rate)
