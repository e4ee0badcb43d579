"""Names of the variables of C3D, BN-Inception and LRCN in public files, given our paths of them.

Sources: the layers of facebookarchive/C3D (Caffe), whose names PyTorch's copies keep; mmaction2
`models/backbones/c3d.py`; pretrained-models.pytorch `models/bninception.py`; tsn-pytorch;
temporal-segment-networks `models/ucf101/tsn_bn_inception_rgb_deploy.prototxt` (Caffe);
lisa-caffe-public `examples/LRCN_activity_recognition`.
"""

import re

from i3d_tf.specs.inception_v1 import HEAD
from i3d_tf.weights.s3d_names import TORCH_NORM

_ENDS = {"kernel": "weight", "bias": "bias"}
_CAFFE_DENSE = {"fc6": "fc6-1", "fc7": "fc7-1", HEAD: "fc8-1"}


def c3d_caffe_name(path: str) -> str:
    """Returns the name of Caffe's layers: `conv1a.weight`, `fc6-1.weight`."""
    layer, variable = path.split("/")
    return f"{_CAFFE_DENSE.get(layer, layer)}.{_ENDS[variable]}"


def c3d_mmaction_name(path: str, prefix: str = "", classifier: str = "fc8") -> str:
    """Returns the name in mmaction2's state dict: `conv1a.conv.weight`, `fc6.weight`.

    Args:
        path: Our path.
        prefix: Start of the names of the backbone.
        classifier: Name of the last layer.
    """
    layer, variable = path.split("/")
    end = _ENDS[variable]
    if layer == HEAD:
        return f"{classifier}.{end}"
    return f"{prefix}{layer}{'.conv' if layer.startswith('conv') else ''}.{end}"


def bn_inception_name(path: str, prefix: str = "", classifier: str = "last_linear") -> str:
    """Returns the name in the state dict of pretrained-models: `inception_3a_1x1_bn.weight`.

    Args:
        path: Our path.
        prefix: Start of the names of all layers but the last, such as tsn-pytorch has.
        classifier: Name of the last layer.
    """
    layer, *_, variable = path.split("/")
    if layer == HEAD:
        return f"{classifier}.{_ENDS[variable]}"
    if variable in TORCH_NORM:
        return f"{prefix}{layer}_bn.{TORCH_NORM[variable]}"
    return f"{prefix}{layer}.{_ENDS[variable]}"


def lrcn_caffe_name(path: str) -> str:
    """Returns the name of Caffe's layers: `conv1.weight`, `lstm1.2`, `fc8-final.bias`."""
    layer, *_, variable = path.split("/")
    if variable == "recurrent_kernel":
        return f"{layer}.2"  # the third array of its layer
    return f"{'fc8-final' if layer == HEAD else layer}.{_ENDS[variable]}"


_CAFFE_BLOCK = re.compile(r"(conv\d|inception_\d\w)_")
_CAFFE_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "2", "moving_variance": "3"}


def bn_inception_caffe_name(path: str) -> str:
    """Returns the name in the Caffe files of Temporal Segment Networks: `conv1/7x7_s2_bn.weight`.

    Batch norm has four blobs there: scale, offset, mean and variance.
    """
    layer, *_, variable = path.split("/")
    if layer == HEAD:
        return f"fc-action.{_ENDS[variable]}"
    place = _CAFFE_BLOCK.sub(r"\1/", layer, count=1)
    if variable in _CAFFE_NORM:
        return f"{place}_bn.{_CAFFE_NORM[variable]}"
    return f"{place}.{_ENDS[variable]}"
