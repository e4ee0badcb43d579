"""Networks by name, with their weights."""

from i3d_tf.inflation.inflate import inflate
from i3d_tf.zoo.checkpoint import open_checkpoint, open_checkpoints
from i3d_tf.zoo.network_file import load_keras
from i3d_tf.zoo.networks import build
from i3d_tf.zoo.pretrained import InceptionI3D, load

__all__ = [
    "InceptionI3D",
    "build",
    "inflate",
    "load",
    "load_keras",
    "open_checkpoint",
    "open_checkpoints",
]
