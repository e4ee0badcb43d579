"""Keras layers and blocks; they run on every Keras backend.

Importing this package registers the layers with Keras: `keras.models.load_model` then knows them.
"""

from i3d_tf.layers.head import HeadPool, Logits
from i3d_tf.layers.inception import InceptionBlock
from i3d_tf.layers.unit3d import Unit3D

__all__ = ["HeadPool", "InceptionBlock", "Logits", "Unit3D"]
