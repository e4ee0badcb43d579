"""Keras layers and blocks; they run on every Keras backend.

Importing this package registers the layers with Keras: `keras.models.load_model` then knows them.
"""

from i3d_tf.layers.frame_differences import FrameDifferences
from i3d_tf.layers.frames import (
    ExtendTime,
    FoldTime,
    LastStep,
    PerFrame,
    SpacePool,
    StackTime,
    TimePool,
    UnfoldTime,
)
from i3d_tf.layers.grouped_conv import GroupedConv2D
from i3d_tf.layers.head import HeadPool, Logits
from i3d_tf.layers.inception import FusedInceptionBlock, InceptionBlock
from i3d_tf.layers.padded_conv import AlignTime, CropStart, DepthwiseConv3D, PaddedConv3D
from i3d_tf.layers.roi_align import BoxesInPixels, RoIAlign
from i3d_tf.layers.step_pool import StepPool
from i3d_tf.layers.stream import Stream
from i3d_tf.layers.unit import DenseUnit, Unit2D, Unit3D

__all__ = [
    "AlignTime",
    "BoxesInPixels",
    "CropStart",
    "DenseUnit",
    "DepthwiseConv3D",
    "ExtendTime",
    "FoldTime",
    "FrameDifferences",
    "FusedInceptionBlock",
    "GroupedConv2D",
    "HeadPool",
    "InceptionBlock",
    "LastStep",
    "Logits",
    "PaddedConv3D",
    "PerFrame",
    "RoIAlign",
    "SpacePool",
    "StackTime",
    "StepPool",
    "Stream",
    "TimePool",
    "UnfoldTime",
    "Unit2D",
    "Unit3D",
]
