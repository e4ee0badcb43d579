"""A 2D network inflated: the 3D functional model, and where each of its weights comes from."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import keras

from i3d_tf.inflation.flatten import flatten, run
from i3d_tf.inflation.layer_rules import inflated_layers
from i3d_tf.inflation.schedules import rows_by_layer
from i3d_tf.layers.padded_conv import TIME_PADDINGS, AlignTime, CropStart, DepthwiseConv3D
from i3d_tf.models.keras_graph import packed_like


class Border(NamedTuple):
    """How many of the first and of the last output steps the padding in time reaches."""

    start: int
    end: int


def border(model_2d, temporal="i3d", padding="zero"):
    """How far the padding in time reaches into each output, before any mean over time.

    It holds for clips whose number of frames the temporal strides divide; with others start and end
    may be longer by a step.

    Args:
        model_2d: As of `i3d_tf.inflate`.
        temporal: Likewise.
        padding: Likewise; with "valid" it is how many steps are left out, which pools do as well.

    Returns:
        List of `Border`, one for each output of the model.
    """
    if padding not in TIME_PADDINGS:
        raise ValueError(f"`padding` must be one of {TIME_PADDINGS}; received {padding!r}.")
    graph = flatten(model_2d)
    rows = rows_by_layer(graph, temporal)

    def visit(call):
        reached = Border(*map(max, zip(*call.inputs, strict=True)))
        row = rows.get(id(call.operation))
        return [_border_after(row, reached, padding)] * len(call.outputs)

    return run(graph, [Border(0, 0)] * len(graph.inputs), visit)


def steps_before(row):
    """How many steps SAME padding adds before a clip whose length the stride divides."""
    return max(row.extent - row.stride, 0) // 2


def _border_after(row, reached, padding):
    """The steps of a layer's output that its own padding or its input's border reaches."""
    if row is None:
        return reached
    if row.spot.kind == "enlargement":
        return Border(reached.start * row.stride, reached.end * row.stride)
    before = steps_before(row)
    start = -(-(reached.start + before) // row.stride)
    end = -(-(reached.end + row.extent - before) // row.stride) - 1
    if row.spot.kind == "pool" and padding != "valid":  # its own padding it does not see
        return Border(start if reached.start else 0, end if reached.end else 0)
    return Border(start, end)


TIMES = ("mean", "steps")


class Inflation(NamedTuple):
    """A 3D network, untrained, and the 2D weights that belong in it.

    Attributes:
        model: The functional 3D model.
        sources: `variable.path` of the 3D model -> the 2D model's variable. Its shape is the same,
            or lacks the first axis, time; but for the first layer's channels where these were
            changed.
    """

    model: keras.Model
    sources: dict[str, Any]


def inflated(
    model_2d,
    temporal="i3d",
    padding="zero",
    time="mean",
    frames=None,
    channels=None,
    rules=None,
    name=None,
):
    """Builds the 3D network of a 2D one, with untrained weights.

    Arguments and errors are those of `i3d_tf.inflate`, which writes the weights.

    Returns:
        An `Inflation`.
    """
    _check_choice("padding", padding, TIME_PADDINGS)
    _check_choice("time", time, TIMES)
    graph = flatten(model_2d)
    inputs = _inputs(model_2d, frames, channels)
    building = _Inflater(rows_by_layer(graph, temporal), padding, rules)
    stages = run(graph, [_Stage(tensor) for tensor in inputs], building.visit)
    outputs = [stage.tensor for stage in stages]
    if time == "mean":
        outputs = [_mean_over_time(tensor, index) for index, tensor in enumerate(outputs)]
    model = keras.Model(
        packed_like(model_2d, "input", inputs),
        packed_like(model_2d, "output", outputs),
        name=name or f"{model_2d.name}_3d",
    )
    return Inflation(model, building.sources())


@dataclass(frozen=True)
class _Stage:
    """A tensor of the 3D network, while it is built.

    Attributes:
        tensor: (N, T, ...).
        start: Without padding, the step of the padded network that is its first.
        jump: Frames from one step to the next.
    """

    tensor: Any
    start: int = 0
    jump: Fraction = Fraction(1)


class _Inflater:
    """Calls the 3D layers one after the other, each made when it is first called."""

    def __init__(self, rows, padding, rules):
        self.rows = rows
        self.padding = padding
        self.rules = rules
        self.chains = {}  # by identity of the 2D operation: (operation, list of layers)

    def visit(self, call):
        """The stages that a call gives."""
        row = self.rows.get(id(call.operation))
        _check_meeting(call)
        stages = call.inputs
        if self.padding == "valid" and len(stages) > 1:
            stages = _aligned(call.name, stages)
        elif self.padding == "valid" and row is not None:
            stages = [_without_start(row, stages[0])]
        tensors = {id(old): new.tensor for old, new in zip(call.inputs, stages, strict=True)}
        first, *others = self._chain(call, row)
        args, kwargs = keras.tree.map_structure(
            lambda argument: tensors.get(id(argument), argument), (call.args, call.kwargs)
        )
        answer = first(*args, **kwargs)
        for layer in others:
            answer = layer(answer)
        start, jump = _time_after(row, stages[0])
        return [_Stage(tensor, start, jump) for tensor in keras.tree.flatten(answer)]

    def sources(self):
        """As of `Inflation`."""
        found = {}
        for operation, chain in self.chains.values():
            ours = [weight for layer in chain for weight in getattr(layer, "weights", ())]
            theirs = getattr(operation, "weights", ())
            if len(ours) != len(theirs):
                raise ValueError(
                    f"The rule for {type(operation).__name__} must give a layer with the weights "
                    f"of {operation.name!r}, {len(theirs)} of them; its layer has {len(ours)}."
                )
            _check_depthwise(operation, chain)
            found |= {weight.path: source for weight, source in zip(ours, theirs, strict=True)}
        return found

    def _chain(self, call, row):
        operation = call.operation
        if id(operation) not in self.chains:
            chain = inflated_layers(call, row, self.padding, self.rules)
            self.chains[id(operation)] = operation, chain
        return self.chains[id(operation)][1]


def _check_depthwise(operation, chain):
    """Raises ValueError where a depthwise convolution would get other channels than it had."""
    if isinstance(chain[0], DepthwiseConv3D):
        before, after = operation.weights[0].shape[-2], chain[0].kernel.shape[-2]
        if before != after:
            raise ValueError(
                f"`channels` must be {before}, or None: {operation.name!r}, with which the network "
                f"begins, has a filter for each channel by itself; received {after}."
            )


def _check_meeting(call):
    """Raises ValueError where tensors meet that time has been shortened differently for."""
    jumps = {stage.jump for stage in call.inputs}
    if len(jumps) > 1:
        raise ValueError(
            f"In {call.name!r} tensors meet whose time steps are {sorted(map(str, jumps))} frames "
            "apart; `temporal` must give the same strides to all ways that lead there."
        )
    ranks = {len(stage.tensor.shape) for stage in call.inputs}
    if len(ranks) > 1:
        raise ValueError(
            f"In {call.name!r} tensors of {sorted(rank - 1 for rank in ranks)} axes meet; reshape "
            "them to the same number of axes in `model_2d`, such as (N, 1, 1, C)."
        )


def _time_after(row, stage):
    """(start, jump) after a layer."""
    if row is None:
        return stage.start, stage.jump
    if row.spot.kind == "enlargement":
        return stage.start * row.stride, stage.jump / row.stride
    return _first_whole_step(row, stage), stage.jump * row.stride


def _first_whole_step(row, stage):
    """The first step of the padded network whose window needs no padding, nor any lost step."""
    return -(-(stage.start + steps_before(row)) // row.stride)


def _without_start(row, stage):
    """Leaves out the steps between the tensor's first and the first that a window begins at.

    Branches then stay in step: without padding the windows lie where they lie with padding.
    """
    if row.spot.kind == "enlargement":
        return stage
    begin = _first_whole_step(row, stage) * row.stride - steps_before(row)
    surplus, steps = begin - stage.start, stage.tensor.shape[1]
    if steps is not None and steps - surplus < row.extent:
        raise ValueError(
            f"`frames` is too small for padding='valid': {row.name!r} spans {row.extent} time "
            f"steps and {steps - surplus} are left. Give more frames, None for any number, or pad "
            "with 'edge' or 'zero'."
        )
    if surplus == 0:
        return stage
    tensor = CropStart(surplus, name=f"{row.name}_start")(stage.tensor)
    return _Stage(tensor, stage.start, stage.jump)


def _aligned(name, stages):
    """Cuts stages to the time that they have in common."""
    latest = max(stage.start for stage in stages)
    starts = [latest - stage.start for stage in stages]
    tensors = AlignTime(starts, name=f"{name}_time")([stage.tensor for stage in stages])
    jump = stages[0].jump
    return [_Stage(tensor, latest, jump) for tensor in tensors]


def _inputs(model_2d, frames, channels):
    """Symbolic clips, one for each input of the 2D model."""
    _check_count("frames", frames, "any number of frames")
    _check_count("channels", channels, "those of the 2D model")
    if channels is not None and len(model_2d.inputs) > 1:
        raise ValueError(
            f"`channels` must be None for a model of {len(model_2d.inputs)} inputs; received "
            f"{channels!r}."
        )
    clips = []
    for tensor in model_2d.inputs:
        batch, *image = tensor.shape
        image[-1] = channels or image[-1]
        named = not tensor.name.startswith("keras_tensor")  # else by Keras
        clips.append(
            keras.Input(
                (frames, *image), batch, dtype=tensor.dtype, name=tensor.name if named else None
            )
        )
    return clips


def _mean_over_time(tensor, index):
    """(N, T, C) -> (N, C); a map of features, which has space, keeps its time."""
    if len(tensor.shape) != 3:
        return tensor
    name = f"time_mean_{index}" if index else "time_mean"
    pool = keras.layers.GlobalAveragePooling1D(
        data_format="channels_last", dtype=tensor.dtype, name=name
    )
    return pool(tensor)


def _check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {choices}; received {value!r}.")


def _check_count(name, value, meaning_of_none):
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(
            f"`{name}` must be None ({meaning_of_none}) or a whole number of at least 1; received "
            f"{value!r}."
        )
