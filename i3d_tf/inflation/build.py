"""The 3D model of an inflated 2D network, without its weights, and the reach of its padding."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import keras
from keras import KerasTensor

from i3d_tf.inflation.flatten import Call, flatten, run
from i3d_tf.inflation.layer_rules import layers_3d
from i3d_tf.inflation.schedules import LayerPlan, Schedule, plans_by_layer
from i3d_tf.layers.padded_conv import TIME_PADDINGS, AlignTime, CropStart, DepthwiseConv3D
from i3d_tf.models.keras_graph import pack_like
from i3d_tf.specs.validation import check_choice, check_integer

TIMES = ("mean", "steps")


class Inflation(NamedTuple):
    """A 3D network, untrained, and the 2D weights that belong in it.

    Attributes:
        model: The functional 3D model.
        sources: `variable.path` of the 3D model -> the 2D model's variable. Its shape is the same,
            or lacks the first axis, time; the first layer's channels may differ.
    """

    model: keras.Model
    sources: dict[str, Any]


class Border(NamedTuple):
    """Numbers of the first and of the last output steps that the padding in time reaches."""

    start: int
    end: int


def build_3d(
    model_2d: keras.Model,
    *,
    temporal: str | Schedule,
    padding: str,
    time: str,
    frames: int | None,
    channels: int | None,
    rules: Mapping[type, Callable[[keras.Layer], keras.Layer]] | None,
    name: str | None,
) -> Inflation:
    """Builds the 3D network of a 2D one, with untrained weights.

    Arguments and errors are those of `i3d_tf.inflate`, which assigns the weights.
    """
    check_choice("padding", padding, TIME_PADDINGS)
    check_choice("time", time, TIMES)
    graph = flatten(model_2d)
    clips = _make_inputs(model_2d, frames, channels)
    inflater = _Inflater(plans_by_layer(graph, temporal), padding, rules)
    features = run(graph, [_Features(clip) for clip in clips], inflater.visit)
    outputs = [output.tensor for output in features]
    if time == "mean":
        outputs = [_mean_over_time(tensor, index) for index, tensor in enumerate(outputs)]
    model = keras.Model(
        pack_like(model_2d, "input", clips),
        pack_like(model_2d, "output", outputs),
        name=name or f"{model_2d.name}_3d",
    )
    return Inflation(model, inflater.sources())


def border(
    model_2d: keras.Model, temporal: str | Schedule = "i3d", padding: str = "zero"
) -> list[Border]:
    """Counts the steps of each output that the padding in time reaches, before a mean over time.

    The counts hold for clips whose number of frames the temporal strides divide; for others start
    and end may be longer by a step.

    Args:
        model_2d: See `i3d_tf.inflate`.
        temporal: See `i3d_tf.inflate`.
        padding: See `i3d_tf.inflate`; with "valid" the counts are the steps that are lost, which
            pools lose as well.

    Returns:
        A `Border` for each output of the model.
    """
    check_choice("padding", padding, TIME_PADDINGS)
    graph = flatten(model_2d)
    plans = plans_by_layer(graph, temporal)

    def visit(call):
        reached = Border(*map(max, zip(*call.inputs, strict=True)))
        plan = plans.get(id(call.operation))
        return [_border_after(plan, reached, padding)] * len(call.outputs)

    return run(graph, [Border(0, 0)] * len(graph.inputs), visit)


@dataclass(frozen=True)
class _Features:
    """A tensor of the 3D network, with its place in time.

    Attributes:
        tensor: (N, T, ...).
        start: Without padding, the step of the padded network that is its first.
        jump: Frames from one step to the next.
    """

    tensor: KerasTensor
    start: int = 0
    jump: Fraction = Fraction(1)


class _Inflater:
    """Calls the 3D layers in the order of the graph; each is made at its first call."""

    def __init__(self, plans, padding, rules):
        self.plans = plans
        self.padding = padding
        self.rules = rules
        self.chains = {}  # by identity of the 2D operation: (operation, its 3D layers)

    def visit(self, call: Call) -> list[_Features]:
        """Returns the outputs of a call."""
        plan = self.plans.get(id(call.operation))
        _check_merge(call)
        inputs: Sequence[_Features] = call.inputs
        if self.padding == "valid" and len(inputs) > 1:
            inputs = _align(call.name, inputs)
        elif self.padding == "valid" and plan is not None:
            inputs = [_crop_start(plan, inputs[0])]
        tensors = {id(old): new.tensor for old, new in zip(call.inputs, inputs, strict=True)}
        first, *others = self._chain(call, plan)
        args, kwargs = keras.tree.map_structure(
            lambda argument: tensors.get(id(argument), argument), (call.args, call.kwargs)
        )
        outputs = first(*args, **kwargs)
        for layer in others:
            outputs = layer(outputs)
        start, jump = _time_after(plan, inputs[0])
        return [_Features(tensor, start, jump) for tensor in keras.tree.flatten(outputs)]

    def sources(self) -> dict[str, Any]:
        """Returns the 2D variable for each variable, see `Inflation`."""
        sources: dict[str, Any] = {}
        for operation, chain in self.chains.values():
            targets = [weight for layer in chain for weight in getattr(layer, "weights", ())]
            weights = getattr(operation, "weights", ())
            if len(targets) != len(weights):
                raise ValueError(
                    f"The rule for {type(operation).__name__} must give a layer with the weights "
                    f"of {operation.name!r}, {len(weights)} of them; its layer has {len(targets)}."
                )
            _check_depthwise(operation, chain)
            sources |= {t.path: weight for t, weight in zip(targets, weights, strict=True)}
        return sources

    def _chain(self, call, plan):
        operation = call.operation
        if id(operation) not in self.chains:
            chain = layers_3d(call, plan, self.padding, self.rules)
            self.chains[id(operation)] = operation, chain
        return self.chains[id(operation)][1]


# ---- inputs and outputs


def _make_inputs(model_2d, frames, channels):
    """Makes symbolic clips, one for each input of the 2D model."""
    for name, value in (("frames", frames), ("channels", channels)):
        if value is not None:
            check_integer(name, value, 1)
    if channels is not None and len(model_2d.inputs) > 1:
        raise ValueError(
            f"`channels` must be None for a model of {len(model_2d.inputs)} inputs; received "
            f"{channels!r}."
        )
    clips = []
    for tensor in model_2d.inputs:
        batch, *image = tensor.shape
        image[-1] = channels or image[-1]
        named_by_keras = tensor.name.startswith("keras_tensor")
        clips.append(
            keras.Input(
                (frames, *image),
                batch,
                dtype=tensor.dtype,
                name=None if named_by_keras else tensor.name,
            )
        )
    return clips


def _mean_over_time(tensor, index):
    """Averages (N, T, C) to (N, C); features with space keep their time."""
    if len(tensor.shape) != 3:
        return tensor
    name = f"time_mean_{index}" if index else "time_mean"
    pool = keras.layers.GlobalAveragePooling1D(
        data_format="channels_last", dtype=tensor.dtype, name=name
    )
    return pool(tensor)


# ---- checks


def _check_depthwise(operation, chain):
    """Raises ValueError if a depthwise convolution would get another number of channels."""
    if isinstance(chain[0], DepthwiseConv3D):
        before, after = operation.weights[0].shape[-2], chain[0].kernel.shape[-2]
        if before != after:
            raise ValueError(
                f"`channels` must be {before}, or None: {operation.name!r}, the first layer, has "
                f"filters for single channels; received {after}."
            )


def _check_merge(call: Call) -> None:
    """Raises ValueError if inputs of one call differ in time steps or in number of axes."""
    jumps = {features.jump for features in call.inputs}
    if len(jumps) > 1:
        raise ValueError(
            f"The inputs of {call.name!r} have time steps {sorted(map(str, jumps))} frames apart; "
            "`temporal` must give the same strides on all ways that lead there."
        )
    ranks = {len(features.tensor.shape) for features in call.inputs}
    if len(ranks) > 1:
        raise ValueError(
            f"The inputs of {call.name!r} have {sorted(rank - 1 for rank in ranks)} axes; reshape "
            "them to the same number of axes in `model_2d`, such as (N, 1, 1, C)."
        )


# ---- time


def _border_after(plan: LayerPlan | None, reached: Border, padding: str) -> Border:
    """Returns the steps after a layer that its own padding or its input's border reaches."""
    if plan is None:
        return reached
    if plan.site.role == "upsampling":
        return Border(reached.start * plan.stride, reached.end * plan.stride)
    before = _padding_before(plan)
    start = -(-(reached.start + before) // plan.stride)
    end = -(-(reached.end + plan.kernel_size - before) // plan.stride) - 1
    if plan.site.role == "pooling" and padding != "valid":  # it ignores its own padding
        return Border(start if reached.start else 0, end if reached.end else 0)
    return Border(start, end)


def _padding_before(plan):
    """Returns SAME padding before a clip whose length the stride divides."""
    return max(plan.kernel_size - plan.stride, 0) // 2


def _time_after(plan, features):
    """Returns (start, jump) after a layer."""
    if plan is None:
        return features.start, features.jump
    if plan.site.role == "upsampling":
        return features.start * plan.stride, features.jump / plan.stride
    return _first_complete_step(plan, features), features.jump * plan.stride


def _first_complete_step(plan, features):
    """Returns the first step of the padded network that depends on no padding or lost step."""
    return -(-(features.start + _padding_before(plan)) // plan.stride)


def _crop_start(plan: LayerPlan, features: _Features) -> _Features:
    """Drops the steps before the first one at which a window of the padded network starts.

    Branches then stay aligned: windows are at the same frames with and without padding.
    """
    if plan.site.role == "upsampling":
        return features
    start = _first_complete_step(plan, features) * plan.stride - _padding_before(plan)
    surplus, steps = start - features.start, features.tensor.shape[1]
    if steps is not None and steps - surplus < plan.kernel_size:
        raise ValueError(
            f"`frames` is too small for padding='valid': {plan.name!r} spans {plan.kernel_size} "
            f"time steps and {steps - surplus} are left. Give more frames, None for any number, or "
            "pad with 'edge' or 'zero'."
        )
    if surplus == 0:
        return features
    tensor = CropStart(surplus, name=f"{plan.name}_start")(features.tensor)
    return _Features(tensor, features.start, features.jump)


def _align(name: str, inputs: Sequence[_Features]) -> list[_Features]:
    """Cuts inputs to the time that they have in common."""
    latest = max(features.start for features in inputs)
    starts = [latest - features.start for features in inputs]
    tensors = AlignTime(starts, name=f"{name}_time")([features.tensor for features in inputs])
    jump = inputs[0].jump
    return [_Features(tensor, latest, jump) for tensor in tensors]
