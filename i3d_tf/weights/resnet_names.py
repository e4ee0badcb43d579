"""Names of the variables of residual networks in public files, given our paths of them.

Sources: torchvision `models/video/resnet.py`; pytorchvideo `models/resnet.py`; PySlowFast
`slowfast/models`; video-nonlocal-net, whose blobs Caffe2 names.
"""

import re

from i3d_tf.specs.inception_v1 import HEAD
from i3d_tf.weights.s3d_names import TORCH_NORM

_ENDS = {"kernel": "weight", "bias": "bias"}
_BASIC = re.compile(r"layer(\d)_(\d)_(conv\d|downsample)(_spatial)?")
_BOTTLENECK = re.compile(r"res(\d)_(\d)_branch(1|2[abc])")
_NON_LOCAL = re.compile(r"nonlocal(\d)_(\d)_(theta|phi|g|out)")


def _split(path):
    layer, *_, variable = path.split("/")
    return layer, variable


def _parts(pattern, layer):
    match = pattern.fullmatch(layer)
    if match is None:
        raise ValueError(f"{layer!r} is no layer of these networks.")
    return match.groups()


def torchvision_resnet_name(path: str, is_2plus1d: bool) -> str:
    """Returns the name in torchvision's state dict: `layer1.0.conv1.0.3.weight`."""
    layer, variable = _split(path)
    if layer == HEAD:
        return f"fc.{_ENDS[variable]}"
    is_norm = variable in TORCH_NORM
    end = TORCH_NORM[variable] if is_norm else _ENDS[variable]
    if layer.startswith("stem"):
        first = 3 if is_2plus1d and layer == "stem" else 0
        return f"stem.{first + is_norm}.{end}"
    stage, block, unit, spatial = _parts(_BASIC, layer)
    place = f"layer{stage}.{block}.{unit}"
    if unit == "downsample" or not is_2plus1d:
        return f"{place}.{int(is_norm)}.{end}"
    if spatial:
        return f"{place}.0.{int(is_norm)}.{end}"
    return f"{place}.1.{end}" if is_norm else f"{place}.0.3.{end}"


def pytorchvideo_name(path: str) -> str:
    """Returns the name in pytorchvideo's state dict: `blocks.1.res_blocks.0.branch2...`."""
    layer, variable = _split(path)
    kind, end = (
        ("norm", TORCH_NORM[variable]) if variable in TORCH_NORM else ("conv", _ENDS[variable])
    )
    if layer == HEAD:
        return f"blocks.6.proj.{end}"
    if layer == "conv1":
        return f"blocks.0.{kind}.{end}"
    stage, block, branch = _parts(_BOTTLENECK, layer)
    # Behind the first stage, the pool is a block, too.
    place = f"blocks.{int(stage) - (stage == '2')}.res_blocks.{block}"
    if branch == "1":
        return f"{place}.branch1_{kind}.{end}"
    return f"{place}.branch2.{kind}_{branch[1]}.{end}"


def slowfast_name(path: str) -> str:
    """Returns the name in PySlowFast's state dict: `s2.pathway0_res0.branch2.a.weight`."""
    layer, variable = _split(path)
    is_norm = variable in TORCH_NORM
    end = TORCH_NORM[variable] if is_norm else _ENDS[variable]
    if layer == HEAD:
        return f"head.projection.{end}"
    if layer == "conv1":
        return f"s1.pathway0_stem.{'bn' if is_norm else 'conv'}.{end}"
    if match := _NON_LOCAL.fullmatch(layer):
        stage, block, part = match.groups()
        return f"s{stage}.pathway0_nonlocal{block}.{'bn' if is_norm else f'conv_{part}'}.{end}"
    stage, block, branch = _parts(_BOTTLENECK, layer)
    place = f"s{stage}.pathway0_res{block}"
    unit = "branch1" if branch == "1" else f"branch2.{branch[1]}"
    return f"{place}.{unit}{'_bn' if is_norm else ''}.{end}"


_CAFFE2_NORM = {"gamma": "s", "beta": "b", "moving_mean": "rm", "moving_variance": "riv"}


def caffe2_name(path: str) -> str:
    """Returns the name of the blob in video-nonlocal-net's files: `res2_0_branch2a_bn_s`."""
    layer, variable = _split(path)
    is_norm = variable in _CAFFE2_NORM
    end = _CAFFE2_NORM[variable] if is_norm else {"kernel": "w", "bias": "b"}[variable]
    if layer == HEAD:
        return f"pred_{end}"
    if layer == "conv1":
        return f"res_conv1_bn_{end}" if is_norm else f"conv1_{end}"
    if match := _NON_LOCAL.fullmatch(layer):
        stage, block, part = match.groups()
        place = f"nonlocal_conv{stage}_{block}"
        return f"{place}_bn_{end}" if is_norm else f"{place}_{part}_{end}"
    return f"{layer}_bn_{end}" if is_norm else f"{layer}_{end}"
