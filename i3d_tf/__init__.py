"""Inflated 3D ConvNets (I3D) for TensorFlow and Keras 3.

The public names, each imported when it is first used, so that `import i3d_tf` is quick and quiet.
"""

from importlib import import_module

from i3d_tf.specs.version import __version__ as __version__

_PUBLIC = {
    "InceptionI3D": "i3d_tf.zoo",
    "Predictor": "i3d_tf.inference.predictor",
    "compute_flow": "i3d_tf.flow.compute",
    "decode_predictions": "i3d_tf.metrics.ranking",
    "fuse_for_inference": "i3d_tf.models.fold_batch_norm",
    "inflate": "i3d_tf.inflation.inflate",
    "load": "i3d_tf.zoo",
    "preprocess_input": "i3d_tf.video.transforms",
    "read_clip": "i3d_tf.video.decode",
    "read_features": "i3d_tf.data.feature_file",
    "two_stream": "i3d_tf.models.two_stream",
}

__all__ = list(_PUBLIC)


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'i3d_tf' has no attribute {name!r}; it has {__all__}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__():
    return [*globals(), *__all__]
