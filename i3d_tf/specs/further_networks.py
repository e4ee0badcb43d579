"""The networks around I3D: how each samples a video, and what was published about its size.

Sources: arXiv:1712.04851 (S3D, S3D-G, I2D), arXiv:1711.11248 (R3D, MC3, R(2+1)D),
arXiv:1711.07971 (ResNet-50, Non-local blocks) and arXiv:1608.00859 (TSN), and the public programs
that train them; arXiv:1503.08909 (poolings of frames, deep LSTM), arXiv:1412.0767 (C3D),
arXiv:1406.2199 (the two-stream network of 2014), Karpathy et al., CVPR 2014 (Sports-1M).
"""

from dataclasses import dataclass

from i3d_tf.specs.baselines import (
    C3D_CROP_SIZE,
    C3D_FRAMES,
    C3D_SHORT_SIDE,
    DIFFERENCE_FRAMES,
    FLOW_FRAMES,
    FLOW_PER_STEP,
    LRCN_CROP_SIZE,
    LRCN_FRAMES,
    LRCN_SHORT_SIDE,
    SPORTS_1M_CROP_SIZE,
    SPORTS_1M_FUSIONS,
    SPORTS_1M_SHORT_SIDE,
)
from i3d_tf.specs.inception_v1 import MIN_FRAMES
from i3d_tf.specs.protocol import Protocol
from i3d_tf.specs.streams import CROP_SIZE, SHORT_SIDE, STREAMS, TRAIN_FRAMES

LINEAR = "linear"  # rising from 0 at the first step to 1 at the last


@dataclass(frozen=True)
class FurtherNetwork:
    """A network of the zoo that the paper does not compare.

    Attributes:
        name: Name for `i3d_tf.zoo.build`.
        title: Name in its paper.
        published: What its paper or program states of its size, in words; empty where it is silent.
        train_frames: Frames of a window in training.
        test_frames: Frames of a window at test time.
        test_windows: Windows of a test video, spread evenly; their predictions are averaged.
        min_frames: Frames of the shortest window that the network takes.
        rgb_step: Frames from one that the network gets to the next.
        crop_size: Pixels, side of the square that the network gets.
        short_side: Pixels, after resizing.
        loss_gain: Weights of the steps of a clip in its loss, see `i3d_tf.specs.recipe.Recipe`.
        streams: The streams that a network can be trained for.
        has_fixed_size: Whether frames, height and width are part of the network, because of dense
            layers over all positions.
        segments: Snippets of a training clip, each of so many frames as a window has; 1 is a
            window.
        test_segments: The same at test time; None means as many.
    """

    name: str
    title: str
    published: str = ""
    train_frames: int = TRAIN_FRAMES
    test_frames: int = TRAIN_FRAMES
    test_windows: int = 10
    min_frames: int = MIN_FRAMES
    rgb_step: int = 1
    crop_size: int = CROP_SIZE
    short_side: int = SHORT_SIDE
    loss_gain: str | None = None
    streams: tuple[str, ...] = STREAMS
    has_fixed_size: bool = False
    segments: int = 1
    test_segments: int | None = None

    @property
    def protocol(self) -> Protocol:
        """The sampling of clips at test time."""
        return Protocol(
            frames=self.test_frames,
            short_side=self.short_side,
            crop_size=self.crop_size,
            windows=self.test_windows,
            rgb_step=self.rgb_step,
            segments=self.test_segments or self.segments,
        )


def _tsn(
    name: str,
    title: str,
    snippet_frames: int,
    rgb_step: int,
    streams: tuple[str, ...] = STREAMS,
) -> FurtherNetwork:
    # The authors' programs: 3 segments in training, 25 at test time.
    return FurtherNetwork(
        name,
        title,
        train_frames=snippet_frames,
        test_frames=snippet_frames,
        test_windows=1,
        min_frames=1,
        rgb_step=rgb_step,
        streams=streams,
        segments=3,
        test_segments=25,
    )


def _resnet_18(name: str, title: str, published: str) -> FurtherNetwork:
    # torchvision: clips of 16 frames at 112 x 112, five of a video.
    return FurtherNetwork(
        name,
        title,
        published,
        train_frames=16,
        test_frames=16,
        test_windows=5,
        min_frames=1,
        crop_size=112,
        short_side=128,
    )


def _resnet_50(name: str, title: str, published: str) -> FurtherNetwork:
    # PySlowFast's 8 x 8: 8 frames, 8 apart.
    return FurtherNetwork(name, title, published, min_frames=16, rgb_step=8)


def _frame_network(name: str, title: str, loss_gain: str | None = None) -> FurtherNetwork:
    # 30 frames, here of 6 seconds. The paper has 30 or 120, of other rates on each dataset.
    return FurtherNetwork(
        name,
        title,
        train_frames=150,
        test_frames=150,
        test_windows=1,
        min_frames=1,
        rgb_step=5,
        loss_gain=loss_gain,
    )


def _sports_1m(fusion: str) -> FurtherNetwork:
    # Twenty clips of a video (section 4.1).
    table = SPORTS_1M_FUSIONS[fusion]
    frames = table.frames * table.rgb_step
    return FurtherNetwork(
        f"sports_1m_{fusion}",
        f"Sports-1M, {fusion}",
        train_frames=frames,
        test_frames=frames,
        test_windows=20,
        min_frames=1,
        rgb_step=table.rgb_step,
        crop_size=SPORTS_1M_CROP_SIZE,
        short_side=SPORTS_1M_SHORT_SIDE,
        streams=("rgb",),
        has_fixed_size=True,
    )


FURTHER_NETWORKS = {
    network.name: network
    for network in (
        FurtherNetwork(
            "s3d", "S3D", "8.77 M in the paper, 8,320,048 in torchvision", min_frames=13
        ),
        FurtherNetwork("s3d_g", "S3D-G", "11.56 M in the paper"),
        FurtherNetwork("i2d", "I2D"),
        FurtherNetwork("top_heavy_i3d", "Top-heavy I3D"),
        FurtherNetwork("bottom_heavy_i3d", "Bottom-heavy I3D"),
        FurtherNetwork("top_heavy_s3d", "Top-heavy S3D"),
        FurtherNetwork("bottom_heavy_s3d", "Bottom-heavy S3D"),
        _resnet_18("r3d_18", "R3D-18", "33,371,472 in torchvision"),
        _resnet_18("mc3_18", "MC3-18", "11,695,440 in torchvision"),
        _resnet_18("r2plus1d_18", "R(2+1)D-18", "31,505,325 in torchvision"),
        _resnet_50("c2d_resnet50", "C2D ResNet-50", "24.33 M in pytorchvideo"),
        _resnet_50(
            "i3d_resnet50", "I3D ResNet-50", "28.04 M in pytorchvideo, 35.4 M with Non-local blocks"
        ),
        _frame_network("pooled_frames", "Conv pooling"),
        _frame_network("deep_lstm", "Deep LSTM", loss_gain=LINEAR),
        # The released program tests clips that are 8 apart: about 20 of a video of UCF-101.
        FurtherNetwork(
            "lrcn",
            "LRCN",
            "65,421,285 with 101 classes as released",
            train_frames=LRCN_FRAMES,
            test_frames=LRCN_FRAMES,
            test_windows=20,
            min_frames=1,
            crop_size=LRCN_CROP_SIZE,
            short_side=LRCN_SHORT_SIDE,
        ),
        # Ten clips of 16 frames, as mmaction2 tests it; the paper takes all, 8 apart.
        FurtherNetwork(
            "c3d_original",
            "C3D",
            "79,991,015 with 487 classes as released",
            train_frames=C3D_FRAMES,
            test_frames=C3D_FRAMES,
            min_frames=C3D_FRAMES,
            crop_size=C3D_CROP_SIZE,
            short_side=C3D_SHORT_SIDE,
            streams=("rgb",),
            has_fixed_size=True,
        ),
        FurtherNetwork(
            "two_stream_2014",
            "Two-Stream of 2014",
            train_frames=FLOW_PER_STEP,  # 1 RGB frame
            test_frames=FLOW_PER_STEP,
            test_windows=25,
            min_frames=1,
            rgb_step=FLOW_PER_STEP,
            has_fixed_size=True,
        ),
        *map(_sports_1m, SPORTS_1M_FUSIONS),
        # RGB gets the middle one of the frames whose flow the flow network gets.
        _tsn("tsn", "TSN", FLOW_FRAMES, rgb_step=FLOW_FRAMES),
        _tsn("tsn_rgb_difference", "TSN, RGB differences", DIFFERENCE_FRAMES, 1, ("rgb",)),
    )
}


# Networks that read rows of stored features instead of frames: sequences of 15 rows in training,
# the rows of a shorter video repeated, and all rows of a video at test time.
TRAIN_ROWS, ALL_ROWS = 15, 1 << 16


def _feature_network(name: str, title: str) -> FurtherNetwork:
    return FurtherNetwork(
        name,
        title,
        train_frames=TRAIN_ROWS,
        test_frames=ALL_ROWS,
        test_windows=1,
        min_frames=1,
    )


FEATURE_NETWORKS = {
    network.name: network
    for network in (
        _feature_network("feature_lstm", "LSTM on features"),
        _feature_network("feature_gru", "GRU on features"),
        _feature_network("feature_linear", "Linear layer on the mean of features"),
    )
}
