"""The streams of a two-stream network, and the constants of the paper's protocol."""

from i3d_tf.specs.validation import check_choice

STREAMS = ("rgb", "flow")
FLOW_ENGINES = ("auto", "numba", "graph", "opencv", "dis")
FLOW_ROUNDINGS = ("nearest", "floor", "deepmind")  # of 8-bit codes, see i3d_tf.flow.quantize
FORWARD, BOTH = FLOW_DIRECTIONS = ("forward", "both")  # in time, of flow
FUSIONS = ("logits", "probabilities")  # of late fusion: the sum or the mean of two streams
SCORE_FUSIONS = (*FUSIONS, "log_probabilities")  # of scores that are computed
CHANNELS = {"rgb": 3, "flow": 2}
JOINT = "joint"  # both streams, fused late or in one network
STREAM_CHOICES = (*STREAMS, JOINT)
FEATURES = "features"  # stored ones, which a network reads instead of frames
FUSED = "fused"  # the results of two reports
RESULTS = (*STREAM_CHOICES, FEATURES, FUSED)  # of a report

# Protocol of the released models (arXiv:1705.07750, section 3, and the release's README).
FRAME_RATE = 25.0  # frames per second after resampling
SHORT_SIDE = 256  # pixels, before the crop
CROP_SIZE = 224  # pixels
TRAIN_FRAMES = 64
TEST_FRAMES = 250
FLOW_BOUND = 20.0  # pixels per frame; larger displacements are truncated


def streams_of(choice: str) -> tuple[str, ...]:
    """Returns the streams that a choice means.

    Args:
        choice: "rgb", "flow" or "joint", which means both.

    Raises:
        ValueError: It is none of these.
    """
    check_choice("stream", choice, STREAM_CHOICES)
    return STREAMS if choice == JOINT else (choice,)


def inputs_of(choice: str) -> tuple[str, ...]:
    """Returns the inputs of a network: its streams, or "features" for one that reads these."""
    return (FEATURES,) if choice == FEATURES else streams_of(choice)
