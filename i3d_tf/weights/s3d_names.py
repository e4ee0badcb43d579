"""Names of the variables of S3D and S3D-G in public files, given our paths of them.

Sources: pytorch/vision `torchvision/models/video/s3d.py`, kylemin/S3D `model.py`,
deepmind-research `mmv/models/s3d.py`, and TF-Slim's `s3dg.py`.
"""

from i3d_tf.specs.inception_v1 import HEAD, HEAD_CONV, name_without_time
from i3d_tf.specs.inception_variants import GATE, ROW_NAMES, SPATIAL, TEMPORAL, split_path

# PyTorch's names of batch norm's variables.
TORCH_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def torchvision_name(path: str) -> str:
    """Returns the name in torchvision's state dict: `features.5.branch1.1.0.0.weight`."""
    at = split_path(path)
    if at.row == HEAD:
        return f"classifier.1.{_torch_end(at.variable)}"
    # A unit is a pair of a convolution and its norm.
    end = f"1.{TORCH_NORM[at.variable]}" if at.variable in TORCH_NORM else "0.weight"
    half = {SPATIAL: "0.", TEMPORAL: "1.", "": ""}[at.half]
    place = ROW_NAMES.index(at.row)
    if at.branch is None:
        return f"features.{place}.{half}{end}"
    return f"features.{place}.branch{at.branch}.{_place_in_branch(at)}{half}{end}"


def _place_in_branch(at):
    """Returns the number of a unit in its branch; the first branch has none."""
    if at.branch == 0:
        return ""
    return "0." if "_0a_" in at.unit else "1."


def kylemin_name(path: str) -> str:
    """Returns the name in kylemin's state dict: `base.5.branch1.1.conv_s.weight`."""
    at = split_path(path)
    if at.row == HEAD:
        return f"fc.0.{_torch_end(at.variable)}"
    half = {SPATIAL: "_s", TEMPORAL: "_t", "": ""}[at.half]
    if at.variable in TORCH_NORM:
        end = f"bn{half}.{TORCH_NORM[at.variable]}"
    else:
        end = f"conv{half}.weight"
    place = ROW_NAMES.index(at.row)
    if at.branch is None:
        return f"base.{place}.{end}"
    number = "0." if at.branch == 0 else _place_in_branch(at)
    return f"base.{place}.branch{at.branch}.{number}{end}"


def _torch_end(variable):
    return {"kernel": "weight", "bias": "bias"}[variable]


_HAIKU_NORM = {
    "gamma": "scale",
    "beta": "offset",
    "moving_mean": "~/mean_ema/average",
    "moving_variance": "~/var_ema/average",
}


def mmv_name(path: str) -> str:
    """Returns the name in MMV's S3D: `S3D/Mixed_3b/Branch_1_Conv2d_0b_3x3/~/conv3_d/w`."""
    at = split_path(path)
    scope = f"S3D/{name_without_time(at.row)}"
    if at.branch is not None:
        unit = name_without_time(at.unit) or _LAST_UNITS[at.branch]
        scope = f"{scope}/Branch_{at.branch}_{unit}"
    if at.half == GATE:
        return f"{scope}/self_gating/{at.variable[0].replace('k', 'w')}"
    second = "_1" if at.half == TEMPORAL else ""
    if at.variable in _HAIKU_NORM:
        return f"{scope}/__batch_norm{second}/{_HAIKU_NORM[at.variable]}"
    return f"{scope}/~/conv3_d{second}/w"


# What gates are behind.
_LAST_UNITS = ("Conv2d_0a_1x1", "Conv2d_0b_3x3", "Conv2d_0b_3x3", "Conv2d_0b_1x1")


def mil_nce_name(path: str) -> str:
    """Returns the name in MIL-NCE's state dict: `mixed_3b.conv_b1_b.conv2.weight`."""
    at = split_path(path)
    if at.row == HEAD:
        return f"fc.{_torch_end(at.variable)}"
    row = _MIL_NCE_ROWS.get(at.row, at.row.lower())
    if at.half == GATE:
        gate = "gating" if at.branch is None else f"{row}.gating_b{at.branch}"
        return f"{gate}.fc.{_torch_end(at.variable)}"
    if at.branch is not None:
        letter = "" if at.branch == 0 else "_" + at.unit.split("_")[1][1]
        row = f"{row}.conv_b{at.branch}{letter}"
    second = 2 if at.half == TEMPORAL else 1
    if at.variable in TORCH_NORM:
        return f"{row}.bn{second}.{TORCH_NORM[at.variable]}"
    return f"{row}.conv{second}.weight"


_MIL_NCE_ROWS = {
    "Conv3d_1a_7x7": "conv1",
    "Conv3d_2b_1x1": "conv_2b",
    "Conv3d_2c_3x3": "conv_2c",
}


_SLIM_NORM = {"beta": "beta", "moving_mean": "moving_mean", "moving_variance": "moving_variance"}


def slim_name(path: str) -> str:
    """Returns the name in TF-Slim's S3D-G: `InceptionV1/Mixed_3b/Branch_0/...`."""
    at = split_path(path)
    ends = {"kernel": "weights", "bias": "biases"}
    if at.row == HEAD:
        return f"InceptionV1/{HEAD}/{name_without_time(HEAD_CONV)}/{ends[at.variable]}"
    scope = f"InceptionV1/{name_without_time(at.row)}"
    if at.branch is not None:
        scope = f"{scope}/Branch_{at.branch}"
        if at.unit:
            scope = f"{scope}/{name_without_time(at.unit)}"
    if at.half == GATE:
        return f"{scope}/self_gating/transformer_W/{ends[at.variable]}"
    if at.half == TEMPORAL:
        scope = f"{scope}/temporal"
    if at.variable in _SLIM_NORM:
        return f"{scope}/BatchNorm/{at.variable}"
    return f"{scope}/{ends[at.variable]}"
