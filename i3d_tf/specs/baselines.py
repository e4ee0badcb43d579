"""The baselines' own layers, beside Inception-v1, as rows (arXiv:1705.07750, section 2).

Networks before I3D that it does not compare are rows here, too: C3D as published, BN-Inception, and
the networks of arXiv:1406.2199 (two streams) and of Sports-1M.

As in `i3d_tf.specs.inception_v1`, a row is one endpoint, with the shape that it gives beside it
(time x height x width x channels).
"""

from typing import Any, NamedTuple

from i3d_tf.specs.inception_v1 import MIN_WIDTH, Conv, MaxPool, Row


class Dense(NamedTuple):
    """A fully connected layer with batch norm and ReLU."""

    name: str
    units: int


class GroupedConv(NamedTuple):
    """A convolution with bias and ReLU; of 3x3 with a padding of 1, of others without.

    Attributes:
        name: Name.
        filters: Output channels.
        kernel: Pixels, height and width.
        stride: Pixels, along both.
        groups: Parts of the channels that do not see each other.
    """

    name: str
    filters: int
    kernel: int
    stride: int = 1
    groups: int = 1


class CeilPool(NamedTuple):
    """A max-pool of 3x3, stride 2, that rounds up, and local response norm behind it.

    Attributes:
        name: Name.
        norm: Name of the local response norm; "" where there is none.
    """

    name: str
    norm: str = ""


class Modality(NamedTuple):
    """The input of the 2D network for one kind of snippet.

    Attributes:
        stream: The stream whose frames it is made of.
        frames: Frames of a snippet.
        is_difference: Whether it has the differences of the frames, later minus earlier.
    """

    stream: str
    frames: int
    is_difference: bool = False


_HALF = (2, 2, 2)
_CUBE = (3, 3, 3)

# C3D (arXiv:1412.0767) for 16 x 112 x 112 x 3, with the paper's two changes: batch norm after every
# layer, and a first pool that halves time too (the original's is 1x2x2). The window of that pool is
# as long as its stride, so that every frame counts.
C3D: tuple[Row, ...] = (
    Conv("conv1a", 64, _CUBE),  # 16 x 112 x 112 x 64
    MaxPool("pool1", _HALF, _HALF),  # 8 x 56 x 56 x 64
    Conv("conv2a", 128, _CUBE),  # 8 x 56 x 56 x 128
    MaxPool("pool2", _HALF, _HALF),  # 4 x 28 x 28 x 128
    Conv("conv3a", 256, _CUBE),  # 4 x 28 x 28 x 256
    Conv("conv3b", 256, _CUBE),  # 4 x 28 x 28 x 256
    MaxPool("pool3", _HALF, _HALF),  # 2 x 14 x 14 x 256
    Conv("conv4a", 512, _CUBE),  # 2 x 14 x 14 x 512
    Conv("conv4b", 512, _CUBE),  # 2 x 14 x 14 x 512
    MaxPool("pool4", _HALF, _HALF),  # 1 x 7 x 7 x 512
    Conv("conv5a", 512, _CUBE),  # 1 x 7 x 7 x 512
    Conv("conv5b", 512, _CUBE),  # 1 x 7 x 7 x 512
    MaxPool("pool5", _HALF, _HALF),  # 1 x 4 x 4 x 512: padded, as the original's
)
# C3D as published (arXiv:1412.0767) and released: no batch norm, and a first pool that keeps time.
# Its last pool is Caffe's, which rounds up: SAME padding does the same for windows of two.
_POOL_1 = MaxPool("pool1", (1, 2, 2), (1, 2, 2))  # 16 x 56 x 56 x 64
C3D_ORIGINAL: tuple[Row, ...] = tuple(_POOL_1 if row.name == "pool1" else row for row in C3D)
# Rows of the first dense layer are flattened positions: channels first in PyTorch and Caffe.
C3D_FLATTENED = (512, 1, 4, 4)  # channels, time, height, width
C3D_DENSE = (Dense("fc6", 4096), Dense("fc7", 4096))
C3D_FRAMES = 16  # the four pools before the last leave one step of them
C3D_CROP_SIZE = 112  # pixels
C3D_SHORT_SIDE = 128  # pixels; the original resizes to 128 x 171

LSTM_UNITS = 512
# How predictions at every step become that of a clip, see `i3d_tf.layers.step_pool.pool_steps`.
LAST, LOG_MEAN, *_ = STEP_POOLINGS = ("last", "log_mean", "max", "sum", "gain")

# Poolings of single frames (arXiv:1503.08909, section 3.1), best first as the paper ranks them.
LOCAL = "local"
POOLINGS = ("conv", LOCAL, "slow", "late", "time_conv")
POOLING_WINDOW = 10  # frames
POOLING_STRIDE = 5
POOLED_UNITS = 4096  # of both fully connected layers, as in its AlexNet
TIME_CONV_FILTERS = 256

# A time step of the two-stream networks: one RGB frame and the flow fields around it.
FLOW_PER_STEP = 10
FUSED_STEPS = 5

# 3D-Fused, after both streams' Mixed_5c side by side, 5 x 7 x 7 x 2048. The paper prints no stride
# for the pool; this is that of the other 3x3x3 max-pool, I3D's MaxPool3d_4a_3x3.
FUSED_3D: tuple[Row, ...] = (
    Conv("Conv3d_6a_3x3", 512, _CUBE),  # 5 x 7 x 7 x 512
    MaxPool("MaxPool3d_6b_3x3", _CUBE, _HALF),  # 3 x 4 x 4 x 512
)

# Temporal Segment Networks (arXiv:1608.00859, section 3.1). A snippet is what the 2D network gets
# at once: one RGB frame, five flow fields, or the differences of six RGB frames, in the channels.
FLOW_FRAMES = 5
DIFFERENCE_FRAMES = 6
RGB, FLOW, RGB_DIFFERENCE = "rgb", "flow", "rgb_difference"
MODALITIES = {
    RGB: Modality("rgb", 1),
    FLOW: Modality("flow", FLOW_FRAMES),
    RGB_DIFFERENCE: Modality("rgb", DIFFERENCE_FRAMES, is_difference=True),
}
# Networks of the zoo whose modality is not that of their stream.
NETWORK_MODALITIES = {"tsn_rgb_difference": RGB_DIFFERENCE}
HEAD_STDDEV = 0.001  # of the new last layer's kernel
# Mean and deviation, of values in [0, 1], of what the released BN-Inception and the networks that
# were made of it read: values from 0 to 255 minus a mean, in the order of RGB and of x and y.
BN_INCEPTION_PIXELS = ((128 / 255, 117 / 255, 104 / 255), (1 / 255,) * 3)
FLOW_PIXELS = ((128 / 255,) * 2, (1 / 255,) * 2)
_OF_RGB = {
    "backbone": "bn_inception",
    "pixel_mean": list(BN_INCEPTION_PIXELS[0]),
    "pixel_std": list(BN_INCEPTION_PIXELS[1]),
    "channel_order": "bgr",
}
_OF_FLOW = {
    "backbone": "bn_inception",
    "pixel_mean": list(FLOW_PIXELS[0]),
    "pixel_std": list(FLOW_PIXELS[1]),
}
# Arguments of `i3d_tf.models.tsn.tsn` for the released weights of each modality.
TSN_ARGUMENTS: dict[str, dict[str, Any]] = {RGB: _OF_RGB, FLOW: _OF_FLOW, RGB_DIFFERENCE: _OF_RGB}


class BNInceptionBlock(NamedTuple):
    """A block of BN-Inception: branches over one input, concatenated in this order.

    Attributes:
        name: Name.
        one: Filters of the 1x1 convolution; 0 where there is none, and the block halves the image.
        three: Filters of a 1x1 convolution and of the 3x3 convolution after it.
        double: Filters of a 1x1 convolution and of the two 3x3 convolutions after it.
        pool: "avg" or "max", 3x3.
        projection: Filters of the 1x1 convolution after the pool; 0 where there is none.
    """

    name: str
    one: int
    three: tuple[int, int]
    double: tuple[int, int, int]
    pool: str
    projection: int

    @property
    def stride(self) -> int:
        """Stride of the last convolutions and of the pool."""
        return 1 if self.one else 2


# BN-Inception (arXiv:1502.03167), as released with Temporal Segment Networks (arXiv:1608.00859).
BN_INCEPTION = (
    BNInceptionBlock("inception_3a", 64, (64, 64), (64, 96, 96), "avg", 32),  # 28 x 28 x 256
    BNInceptionBlock("inception_3b", 64, (64, 96), (64, 96, 96), "avg", 64),  # 28 x 28 x 320
    BNInceptionBlock("inception_3c", 0, (128, 160), (64, 96, 96), "max", 0),  # 14 x 14 x 576
    BNInceptionBlock("inception_4a", 224, (64, 96), (96, 128, 128), "avg", 128),  # 14 x 14 x 576
    BNInceptionBlock("inception_4b", 192, (96, 128), (96, 128, 128), "avg", 128),  # 14 x 14 x 576
    BNInceptionBlock("inception_4c", 160, (128, 160), (128, 160, 160), "avg", 128),  # 14 x 14 x 608
    BNInceptionBlock("inception_4d", 96, (128, 192), (160, 192, 192), "avg", 128),  # 14 x 14 x 608
    BNInceptionBlock("inception_4e", 0, (128, 192), (192, 256, 256), "max", 0),  # 7 x 7 x 1056
    BNInceptionBlock("inception_5a", 352, (192, 320), (160, 224, 224), "avg", 128),  # 7 x 7 x 1024
    BNInceptionBlock("inception_5b", 352, (192, 320), (192, 224, 224), "max", 128),  # 7 x 7 x 1024
)
BN_INCEPTION_EPSILON = 1e-5  # of batch norm
BN_INCEPTION_MOMENTUM = 0.9

# LRCN as released (arXiv:1411.4389), in lisa-caffe-public: the layers on every frame, and the LSTM
# over them. Shapes for 227 x 227 x 3; in all 4,310,656 parameters.
LRCN: tuple[GroupedConv | CeilPool, ...] = (
    GroupedConv("conv1", 96, 7, stride=2),  # 111 x 111 x 96
    CeilPool("pool1", "norm1"),  # 55 x 55 x 96
    GroupedConv("conv2", 384, 5, stride=2, groups=2),  # 26 x 26 x 384
    CeilPool("pool2", "norm2"),  # 13 x 13 x 384
    GroupedConv("conv3", 512, 3),  # 13 x 13 x 512
    GroupedConv("conv4", 512, 3, groups=2),  # 13 x 13 x 512
    GroupedConv("conv5", 384, 3, groups=2),  # 13 x 13 x 384
    CeilPool("pool5"),  # 6 x 6 x 384
)
LRCN_FLATTENED = (384, 6, 6)  # the axes of fc6's inputs in Caffe: channels, height, width
LRCN_FC6_UNITS = 4096  # 56,627,200 parameters
LRCN_LSTM_UNITS = 256  # 4,457,472 parameters
LRCN_LSTM_SCALE = 0.01  # initial weights are within +-0.01
LRCN_FRAMES = 16
LRCN_CROP_SIZE = 227  # pixels
LRCN_SHORT_SIDE = 240  # pixels; it resizes to 240 x 320


class ImageConv(NamedTuple):
    """A convolution of images with bias and ReLU, and any norm and pool behind it.

    Attributes:
        name: Name.
        filters: Output channels.
        kernel: Height and width.
        stride: Steps along both.
        padding: Zeros on each side.
        has_norm: Whether local response normalization follows.
        has_pool: Whether a max-pool follows.
    """

    name: str
    filters: int
    kernel: int
    stride: int = 1
    padding: int = 0
    has_norm: bool = False
    has_pool: bool = False


class ResponseNorm(NamedTuple):
    """Local response normalization, see `i3d_tf.layers.response_norm.LocalResponseNorm`."""

    size: int
    alpha: float
    beta: float
    k: float
    convention: str


# CNN-M-2048 (arXiv:1405.3531, table 1), which both streams of arXiv:1406.2199 are; the flow network
# is without the second norm. Pools are Caffe's, 3x3 of stride 2.
CNN_M = (
    ImageConv("conv1", 96, 7, 2, 0, has_norm=True, has_pool=True),  # 54 x 54 x 96
    ImageConv("conv2", 256, 5, 2, 1, has_norm=True, has_pool=True),  # 13 x 13 x 256
    ImageConv("conv3", 512, 3, 1, 1),  # 13 x 13 x 512
    ImageConv("conv4", 512, 3, 1, 1),  # 13 x 13 x 512
    ImageConv("conv5", 512, 3, 1, 1, has_pool=True),  # 6 x 6 x 512
)
CNN_M_DENSE = (Dense("fc6", 4096), Dense("fc7", 2048))
CNN_M_NORM = ResponseNorm(5, 5e-4, 0.75, 2.0, "mean")

# The networks of Sports-1M (Karpathy et al., CVPR 2014), of frames of 170 x 170. The paper does not
# give the padding: these zeros, with pools that round up, make 7 x 7 of a frame, and of a half
# frame, 89 x 89, without the last pool, as the paper says. Pools are 2x2 of stride 2.
SPORTS_1M = (
    ImageConv("conv1", 96, 11, 3, 0, has_norm=True, has_pool=True),  # 27 x 27 x 96
    ImageConv("conv2", 256, 5, 1, 2, has_norm=True, has_pool=True),  # 14 x 14 x 256
    ImageConv("conv3", 384, 3, 1, 1),  # 14 x 14 x 384
    ImageConv("conv4", 384, 3, 1, 1),  # 14 x 14 x 384
    ImageConv("conv5", 256, 3, 1, 1, has_pool=True),  # 7 x 7 x 256
)
SPORTS_1M_DENSE = (Dense("fc6", 4096), Dense("fc7", 4096))
SPORTS_1M_NORM = ResponseNorm(5, 1e-4, 0.5, 2.0, "sum")
SPORTS_1M_CROP_SIZE, SPORTS_1M_SHORT_SIDE = 170, 200  # pixels
MULTIRESOLUTION_SIZE = 178  # pixels; both networks get half of them


class Fusion(NamedTuple):
    """One way in which a network of Sports-1M joins frames (section 3.1).

    Attributes:
        frames: Frames of a clip.
        kernels: Frames that the kernels of the first three convolutions span.
        strides: Steps of these along time.
        rgb_step: Frames of the video from one to the next.
    """

    frames: int
    kernels: tuple[int, int, int] = (1, 1, 1)
    strides: tuple[int, int, int] = (1, 1, 1)
    rgb_step: int = 1


SPORTS_1M_FUSIONS = {
    "single": Fusion(1),
    "early": Fusion(10, (10, 1, 1)),
    "late": Fusion(2, rgb_step=15),  # each frame apart up to the first dense layer
    "slow": Fusion(10, (4, 2, 2), (2, 2, 2)),
}


def widen_units(units: int, width_multiplier: float) -> int:
    """Scales a number of units like `inception_v1.widen` a number of filters."""
    return max(MIN_WIDTH, round(units * width_multiplier))
