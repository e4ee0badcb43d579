"""A video as its flow looks: colours for directions, with their key in a corner."""

from itertools import chain, islice, tee

import numpy as np

from i3d_tf.specs.streams import TEST_FRAMES
from i3d_tf.video.engines import ALGORITHMS, choose_engine
from i3d_tf.video.flow_stream import flow_frames, read_frames
from i3d_tf.viz.flow_wheel import colour_flow, flow_scale, wheel_legend

EVERY = 5  # frames; the scale of a clip is chosen from one in so many
LEGEND = 4  # the key's side is the short side of the frames over this


def flow_pictures(video, engine="auto", beside=False):
    """Computes the flow of a whole video and paints it, in the memory of the network's clip.

    The length of flow that gets the full colour is chosen from the frames that the network sees.

    Args:
        video: Path of the video.
        engine: As for `compute_flow`.
        beside: Whether the frames themselves are shown, to the left of their flow.

    Yields:
        uint8 RGB, (256, W, 3) or with W and 256 exchanged, or twice as wide: one a frame, at 25
        frames per second.

    Raises:
        VideoError: The video cannot be read.
    """
    engine = choose_engine(engine)
    frames, seen = tee(read_frames(video))
    flow = flow_frames(seen, engine)
    first = list(islice(flow, TEST_FRAMES))
    scale = flow_scale(np.stack(first[::EVERY]))
    legend = wheel_legend(min(first[0].shape[:2]) // LEGEND, scale, ALGORITHMS[engine])
    height, width, _ = legend.shape
    for frame, vectors in zip(frames, chain(first, flow), strict=True):
        picture = colour_flow(vectors, scale)
        picture[-height:, -width:] = legend
        yield np.hstack([frame, picture]) if beside else picture
