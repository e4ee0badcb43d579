"""Keras layers and blocks; they run on every Keras backend.

Importing this package registers the layers with Keras: `keras.models.load_model` then knows them.
"""

from i3d_tf.layers.dense_unit import DenseUnit
from i3d_tf.layers.frames import FoldTime, LastStep, StackTime, UnfoldTime
from i3d_tf.layers.fused_inception import FusedInceptionBlock
from i3d_tf.layers.head import HeadPool, Logits
from i3d_tf.layers.inception import InceptionBlock
from i3d_tf.layers.padded_conv import DepthwiseConv3D, PaddedConv3D
from i3d_tf.layers.per_frame import PerFrame, SpacePool
from i3d_tf.layers.stream import Stream
from i3d_tf.layers.time_padding import AlignTime, CropStart
from i3d_tf.layers.unit import Unit2D, Unit3D

__all__ = [
    "AlignTime",
    "CropStart",
    "DenseUnit",
    "DepthwiseConv3D",
    "FoldTime",
    "FusedInceptionBlock",
    "HeadPool",
    "InceptionBlock",
    "LastStep",
    "Logits",
    "PaddedConv3D",
    "PerFrame",
    "SpacePool",
    "StackTime",
    "Stream",
    "UnfoldTime",
    "Unit2D",
    "Unit3D",
]
