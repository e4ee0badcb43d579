"""Networks by name, with their weights."""

from i3d_tf.inflation.inflate import inflate
from i3d_tf.zoo.pretrained import InceptionI3D, build, load, load_keras

__all__ = ["InceptionI3D", "build", "inflate", "load", "load_keras"]
