"""The baselines' own layers, beside Inception-v1, as rows (arXiv:1705.07750, section 2).

As in `i3d_tf.specs.inception_v1`, a row is one endpoint, with the shape that it gives beside it
(time x height x width x channels).
"""

from typing import NamedTuple

from i3d_tf.specs.inception_v1 import MIN_WIDTH, Conv, MaxPool, Row


class Dense(NamedTuple):
    """A fully connected layer with batch norm and ReLU."""

    name: str
    units: int


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
C3D_DENSE = (Dense("fc6", 4096), Dense("fc7", 4096))
C3D_FRAMES = 16  # the four pools before the last leave one step of them
C3D_CROP_SIZE = 112  # pixels
C3D_SHORT_SIDE = 128  # pixels; the original resizes to 128 x 171

LSTM_UNITS = 512
# How predictions at every step become that of a clip, see `i3d_tf.layers.step_pool.pool_steps`.
LAST, *_ = STEP_POOLINGS = ("last", "max", "sum", "gain")

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


def widen_units(units: int, width_multiplier: float) -> int:
    """Scales a number of units like `inception_v1.widen` a number of filters."""
    return max(MIN_WIDTH, round(units * width_multiplier))
