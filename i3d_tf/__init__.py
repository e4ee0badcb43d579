"""Inflated 3D ConvNets (I3D) for TensorFlow and Keras 3.

The public names, each imported when it is first used, so that `import i3d_tf` is quick and quiet.
"""

from importlib import import_module

_PUBLIC = {
    "InceptionI3D": "i3d_tf.zoo",
    "compute_flow": "i3d_tf.video.flow",
    "decode_predictions": "i3d_tf.metrics.ranking",
    "fuse_for_inference": "i3d_tf.models.inference",
    "inflate": "i3d_tf.zoo",
    "load": "i3d_tf.zoo",
    "preprocess_input": "i3d_tf.video.transform",
    "read_clip": "i3d_tf.video.decode",
    "read_features": "i3d_tf.data.feature_file",
    "two_stream": "i3d_tf.models.two_stream",
}

__all__ = list(_PUBLIC)
__version__ = "0.1.0"


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'i3d_tf' has no attribute {name!r}; it has {__all__}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__():
    return [*globals(), *__all__]
