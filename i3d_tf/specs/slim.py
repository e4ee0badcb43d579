"""TF-Slim's Inception-v1 checkpoint: its archive, its variables' names, its irregular name.

Source: the model zoo of TF-Slim (tensorflow/models, research/slim). Training the same network with
the same tools gives checkpoints of the same names.
"""

from i3d_tf.specs.inception_v1 import INCEPTION_V1
from i3d_tf.specs.releases import RELEASED_NAMES

NAME = "slim_inception_v1"
ARCHIVE_URL = "http://download.tensorflow.org/models/inception_v1_2016_08_28.tar.gz"
CLASSES = 1001  # ImageNet's 1000 after one for "background"
PREFIX = "InceptionV1/"
ROWS = INCEPTION_V1

# The checkpoint's name in its folder: in the archive, and as training writes it.
FILE_STEMS = ("inception_v1.ckpt", "model.ckpt")

# Endings of names that are training state, not weights.
IGNORED = (
    "/Momentum",
    "/RMSProp",
    "/RMSProp_1",
    "/ExponentialMovingAverage",
    "global_step",
)

# Our name -> TF-Slim's, for the end of a variable's path and for the layer in front of it.
ENDS = {
    "conv_2d/kernel": "weights",
    "conv_2d/bias": "biases",
    "batch_norm/beta": "BatchNorm/beta",
    "batch_norm/moving_mean": "BatchNorm/moving_mean",
    "batch_norm/moving_variance": "BatchNorm/moving_variance",
}
# The released I3D inherited its one irregular name from here.
LAYERS = {
    ours.replace("3d_", "2d_"): sic.replace("3d_", "2d_") for ours, sic in RELEASED_NAMES.items()
}


def slim_name(variable: str) -> str:
    """Returns TF-Slim's name of a variable, given our path of it."""
    layer, kind, last = variable.rsplit("/", 2)
    return f"{PREFIX}{LAYERS.get(layer, layer)}/{ENDS[f'{kind}/{last}']}"
