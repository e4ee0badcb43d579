"""Public files of the networks around I3D: how each is recognised, and which network it holds.

A form is known by the names in a file, its options by the shapes of its arrays. Each network reads
clips or images in [-1, 1] like all of this package; where its weights were trained with other
values, a first layer computes these.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from i3d_tf.specs.baselines import (
    BN_INCEPTION_PIXELS,
    C3D_FLATTENED,
    LRCN_FLATTENED,
    TSN_ARGUMENTS,
)
from i3d_tf.specs.resnet_3d import NON_LOCAL
from i3d_tf.weights.classic_names import (
    bn_inception_caffe_name,
    bn_inception_name,
    c3d_caffe_name,
    c3d_mmaction_name,
    lrcn_caffe_name,
)
from i3d_tf.weights.resnet_names import (
    caffe2_name,
    pytorchvideo_name,
    slowfast_name,
    torchvision_resnet_name,
)
from i3d_tf.weights.s3d_names import (
    kylemin_name,
    mil_nce_name,
    mmv_name,
    slim_name,
    torchvision_name,
)

Shapes = Mapping[str, tuple[int, ...]]

# Mean and standard deviation of RGB in [0, 1] that networks were trained with.
KINETICS_PIXELS = ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989))  # torchvision
CAFFE2_PIXELS = ((0.45,) * 3, (0.225,) * 3)  # 114.75 and 57.375 of 255
UNIT_PIXELS = ((0.0,) * 3, (1.0,) * 3)  # [0, 1] as it is


def _of_bytes(*mean):
    """Returns the mean and deviation of RGB in [0, 1] for values from 0 to 255 minus a mean."""
    return tuple(value / 255 for value in mean), (1 / 255,) * 3


# The mean of each channel, as PyTorch's copies of C3D take it for the released mean of each
# position; and mmaction2's, which takes BGR's mean from RGB.
C3D_PIXELS = _of_bytes(102, 98, 90)
MMACTION_C3D_PIXELS = _of_bytes(104, 117, 128)
LRCN_PIXELS = _of_bytes(128.68, 116.779, 103.939)  # sic: of red, others take 123.68

_TSN_CHANNELS = {"flow": 10, "rgb_difference": 15}

TORCH, KERAS = "torch", "keras"  # kernels of (O, I, T, H, W) and (T, H, W, I, O)


# What files have beside the weights: counters of PyTorch's batch norm, and what training wrote.
COUNTER = ".num_batches_tracked"


class PublicForm(NamedTuple):
    """One public layout of files.

    Attributes:
        title: What a message calls it.
        network: Name of the network, for `i3d_tf.zoo.build`.
        first: A name that only files of this form have.
        name: Our `variable.path` -> the name in the file.
        options: Names and shapes of a file -> arguments of the network, and "network" where that is
            another one.
        classifier: Name of the last kernel or matrix; "" where there is none.
        order: TORCH or KERAS.
        pixels: Mean and deviation of RGB in [0, 1]; None for [-1, 1].
        channel_order: "rgb" or "bgr", for the network.
        flattened: Name of a matrix -> (C, *positions), the axes that its inputs were flattened
            from, where ours are flattened with the channels last.
        gates: Names of arrays whose rows are the gates of a Caffe LSTM.
        ignored: Starts of names that are no part of the network.
        ignored_ends: Ends of such names.
        unsaid: An argument that decides what the weights compute, and that no file tells, with what
            it means; "" where there is none.
    """

    title: str
    network: str
    first: str
    name: Callable[[str], str]
    options: Callable[[Shapes], dict[str, Any]]
    classifier: str
    order: str = TORCH
    pixels: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    channel_order: str = "rgb"
    flattened: Mapping[str, tuple[int, ...]] = MappingProxyType({})
    gates: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    ignored_ends: tuple[str, ...] = ()
    unsaid: str = ""


def _none(shapes: Shapes) -> dict[str, Any]:
    return {}


def _kylemin(shapes: Shapes) -> dict[str, Any]:
    return {"head": "frame"}


def _mil_nce(shapes: Shapes) -> dict[str, Any]:
    is_packed = shapes["conv1.conv1.weight"][1] == 24
    stem: dict[str, Any] = {"space_to_depth": True} if is_packed else {"stem": "3"}
    return {**_MMV_NORM, **stem, "gate_bias": True, "head": "mean"}


_MMV_NORM = {"use_scale": True, "epsilon": 1e-5, "momentum": 0.9, "temporal_norm": True}
_MMV_STEM = "S3D/Conv2d_1a_7x7/~/conv3_d/w"


def _mmv(shapes: Shapes) -> dict[str, Any]:
    time, *_, channels, _ = shapes[_MMV_STEM]
    stem = {"space_to_depth": True} if channels == 24 else {"stem": str(time)}
    is_gated = "S3D/Conv2d_2c_3x3/self_gating/w" in shapes
    rows_3d = [
        row
        for row in ("Conv2d_2c_3x3", *(f"Mixed_{part}" for part in _BLOCKS))
        if shapes.get(_mmv_temporal(row), (1,))[0] == 3
    ]
    first = rows_3d[0].replace("Conv2d", "Conv3d") if rows_3d else ""
    ends = {"first_3d": first} if rows_3d else {"last_3d": ""}
    return {
        **_MMV_NORM,
        **stem,
        **ends,
        "keeps_pairs": True,
        "gating": "branch" if is_gated else "none",
        "gate_bias": True,
    }


_BLOCKS = ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")


def _mmv_temporal(row):
    unit = "" if row.startswith("Conv2d") else "/Branch_1_Conv2d_0b_3x3"
    return f"S3D/{row}{unit}/~/conv3_d_1/w"


def _slim(shapes: Shapes) -> dict[str, Any]:
    is_gated = "InceptionV1/Conv2d_2c_3x3/self_gating/transformer_W/weights" in shapes
    time = shapes["InceptionV1/Conv2d_1a_7x7/weights"][0]
    return {"stem": str(time), "gating": "branch" if is_gated else "none"}


def _r3d_or_mc3(shapes: Shapes) -> dict[str, Any]:
    is_2d = shapes["layer2.0.conv1.0.weight"][2] == 1
    return {"network": "mc3_18" if is_2d else "r3d_18"}


def _resnet_50(stem: str, non_local: str, shapes: Shapes) -> dict[str, Any]:
    """Returns the options of a ResNet-50 by its first kernel and the names of Non-local blocks."""
    time = shapes[stem][2]
    found = {name for name in shapes if non_local and non_local in name and "theta" in name}
    kernels = {name for name in found if name.endswith((".weight", "_w"))}
    counts = [count for count, stages in NON_LOCAL.items() if sum(map(len, stages)) == len(kernels)]
    return {
        "network": "i3d_resnet50" if time > 1 else "c2d_resnet50",
        "non_local": counts[0] if counts else len(kernels),
    }


def _symmetric_pool(shapes: Shapes) -> dict[str, Any]:
    return {"pool5": "symmetric"}


def _tsn(stem: str, shapes: Shapes) -> dict[str, Any]:
    """Returns the options of a TSN by the channels of its first kernel: stacked flow, or RGB."""
    channels = shapes[stem][1]
    modality = next((m for m in ("flow", "rgb_difference") if channels == _TSN_CHANNELS[m]), "rgb")
    return {"modality": modality, **TSN_ARGUMENTS[modality]}


FORMS = (
    PublicForm(
        "torchvision's S3D",
        "s3d",
        "features.0.0.0.weight",
        torchvision_name,
        _none,
        "classifier.1.weight",
        pixels=KINETICS_PIXELS,
    ),
    PublicForm(
        "kylemin's S3D", "s3d", "base.0.conv_s.weight", kylemin_name, _kylemin, "fc.0.weight"
    ),
    PublicForm(
        "MIL-NCE's S3D-G",
        "s3d_g",
        "conv_2b.conv1.weight",
        mil_nce_name,
        _mil_nce,
        "fc.weight",
        pixels=UNIT_PIXELS,
        ignored=("text_module.",),
    ),
    PublicForm(
        "MMV's S3D-G", "s3d_g", _MMV_STEM, mmv_name, _mmv, "", order=KERAS, pixels=UNIT_PIXELS
    ),
    PublicForm(
        "TF-Slim's S3D-G",
        "s3d_g",
        "InceptionV1/Conv2d_2c_3x3/temporal/weights",
        slim_name,
        _slim,
        "InceptionV1/Logits/Conv2d_0c_1x1/weights",
        order=KERAS,
        pixels=UNIT_PIXELS,
        ignored=("global_step",),
        ignored_ends=("/Momentum", "/ExponentialMovingAverage", "/RMSProp", "/RMSProp_1"),
    ),
    PublicForm(
        "torchvision's R(2+1)D",
        "r2plus1d_18",
        "layer1.0.conv1.0.3.weight",
        partial(torchvision_resnet_name, is_2plus1d=True),
        _none,
        "fc.weight",
        pixels=KINETICS_PIXELS,
    ),
    PublicForm(
        "torchvision's R3D or MC3",
        "r3d_18",
        "layer2.0.downsample.0.weight",
        partial(torchvision_resnet_name, is_2plus1d=False),
        _r3d_or_mc3,
        "fc.weight",
        pixels=KINETICS_PIXELS,
    ),
    PublicForm(
        "pytorchvideo's ResNet-50",
        "i3d_resnet50",
        "blocks.0.conv.weight",
        pytorchvideo_name,
        partial(_resnet_50, "blocks.0.conv.weight", ""),
        "blocks.6.proj.weight",
        pixels=CAFFE2_PIXELS,
    ),
    PublicForm(
        "PySlowFast's ResNet-50",
        "i3d_resnet50",
        "s1.pathway0_stem.conv.weight",
        slowfast_name,
        partial(_resnet_50, "s1.pathway0_stem.conv.weight", "nonlocal"),
        "head.projection.weight",
        pixels=CAFFE2_PIXELS,
    ),
    PublicForm(
        "Caffe2's ResNet-50",
        "i3d_resnet50",
        "res2_0_branch2a_w",
        caffe2_name,
        partial(_resnet_50, "conv1_w", "nonlocal_conv"),
        "pred_w",
        pixels=CAFFE2_PIXELS,
        ignored=("lr", "model_iter"),
        ignored_ends=("_momentum",),
        unsaid="geometry",
    ),
    PublicForm(
        "Caffe's C3D",
        "c3d_original",
        "fc6-1.weight",
        c3d_caffe_name,
        _none,
        "fc8-1.weight",
        pixels=C3D_PIXELS,
        channel_order="bgr",
        flattened={"fc6-1.weight": C3D_FLATTENED},
    ),
    PublicForm(
        "Caffe's LRCN",
        "lrcn",
        "lstm1.2",
        lrcn_caffe_name,
        _none,
        "fc8-final.weight",
        pixels=LRCN_PIXELS,
        channel_order="bgr",
        flattened={"fc6.weight": LRCN_FLATTENED},
        gates=("lstm1.weight", "lstm1.bias", "lstm1.2"),
    ),
    PublicForm(
        "mmaction2's C3D",
        "c3d_original",
        "backbone.conv1a.conv.weight",
        partial(c3d_mmaction_name, prefix="backbone.", classifier="cls_head.fc_cls"),
        _symmetric_pool,
        "cls_head.fc_cls.weight",
        pixels=MMACTION_C3D_PIXELS,
        flattened={"backbone.fc6.weight": C3D_FLATTENED},
    ),
    PublicForm(
        "mmaction2's pretrained C3D",
        "c3d_original",
        "conv1a.conv.weight",
        c3d_mmaction_name,
        _symmetric_pool,
        "fc8.weight",
        pixels=MMACTION_C3D_PIXELS,
        flattened={"fc6.weight": C3D_FLATTENED},
    ),
    PublicForm(
        "Temporal Segment Networks in Caffe",
        "tsn",
        "inception_3a/1x1.weight",
        bn_inception_caffe_name,
        partial(_tsn, "conv1/7x7_s2.weight"),
        "fc-action.weight",
    ),
    PublicForm(
        "tsn-pytorch's BN-Inception",
        "tsn",
        "base_model.inception_3a_1x1.weight",
        partial(bn_inception_name, prefix="base_model.", classifier="new_fc"),
        partial(_tsn, "base_model.conv1_7x7_s2.weight"),
        "new_fc.weight",
    ),
    PublicForm(
        "the BN-Inception of pretrained-models",
        "bn_inception",
        "inception_3a_1x1.weight",
        bn_inception_name,
        _none,
        "last_linear.weight",
        pixels=BN_INCEPTION_PIXELS,
        channel_order="bgr",
    ),
)


class FoundForm(NamedTuple):
    """The form of a file.

    Attributes:
        form: The form.
        prefix: What all its names begin with, such as "module.".
    """

    form: PublicForm
    prefix: str


def find_form(names: Collection[str]) -> FoundForm | None:
    """Returns the form that a file's names are of, or None."""
    for form in FORMS:
        found = [name for name in names if name == form.first or name.endswith(f".{form.first}")]
        if len(found) == 1:
            return FoundForm(form, found[0].removesuffix(form.first))
    return None
