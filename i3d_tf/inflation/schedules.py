"""Which layers of an inflated network look along time, and how far: one small function a schedule.

A schedule is a function from a `Spot`, a place in the 2D network, to (extent, stride): how many
time steps the layer spans and by how many it moves. `SCHEDULES` has the named ones, and
`temporal_schedule` lists what one of them says of a network:

    for row in temporal_schedule(keras.applications.ResNet50(weights=None)):
        print(row)
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import keras

from i3d_tf.inflation.flatten import flatten, run

LAYERS = {
    "convolution": (
        keras.layers.Conv2D,
        keras.layers.DepthwiseConv2D,
        keras.layers.SeparableConv2D,
    ),
    "pool": (keras.layers.AveragePooling2D, keras.layers.MaxPooling2D),
    "enlargement": (keras.layers.Conv2DTranspose, keras.layers.UpSampling2D),
}
KINDS = {layer: kind for kind, layers in LAYERS.items() for layer in layers}
_JOINTS = ("Add", "Concatenate")
_SPACELESS = (
    keras.layers.Flatten,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
)


class Spot(NamedTuple):
    """A layer of the 2D network that could look along time, and where it stands.

    Attributes:
        layer: The 2D layer.
        kind: One of `LAYERS`. An enlargement (up-sampling) spans one step, and its stride is what
            it lengthens time by.
        size: N, the height of its kernel: an NxN convolution has N. Of a factorised pair the 7x1
            has 7 and the 1x7 has 1, so that the pair looks along time once. An enlargement has 1.
        stride: By what it makes the picture smaller (or, an enlargement, larger).
        halving: Which of the network's reductions of the picture it performs (or undoes), None
            where it does not. Those that follow are counted 1, 2, ...; the first has number 0
            if a convolution performs it, else 1.
        block: How many merges (residual additions, concatenations) come before it; in a network
            without any, how many convolutions wider than one pixel.
        first: Whether it is the network's first convolution.
    """

    layer: keras.layers.Layer
    kind: str
    size: int
    stride: int
    halving: int | None
    block: int
    first: bool


class Row(NamedTuple):
    """What a schedule says of a layer."""

    name: str
    spot: Spot
    extent: int
    stride: int

    def __str__(self):
        height, width = window_of(self.spot.layer)
        stride = self.spot.stride
        sizes = f"{height}x{width} -> {self.extent}x{height}x{width}"
        return f"{self.name:32}{sizes:22}stride {stride} -> {self.stride},{stride},{stride}"


def i3d(spot):
    """The paper's (arXiv:1705.07750, section 2.4, for Inception-v1), as a rule for any network.

    Every NxN convolution and pool becomes NxNxN. A first convolution that halves the picture halves
    time; the two reductions after it leave time alone, and pool single frames; all later ones
    reduce time as they reduce space. Five halvings make time 8 times shorter.
    """
    stride = 1 if spot.halving in (None, 1, 2) else spot.stride
    keeps_frames = spot.kind == "pool" and stride < spot.stride
    return 1 if keeps_frames else spot.size, stride


def every_other(spot):
    """Like "i3d", with every other block's convolutions left at single frames.

    The lighter inflation of Wang et al. 2018 ("Non-local Neural Networks", arXiv:1711.07971,
    section 4), in its 3x3x3 form: the first block after the start looks along time, the next one
    does not, and so on; so does the first convolution. Pools look along time where they shorten it.
    """
    extent, stride = i3d(spot)
    is_chosen = spot.first or spot.block % 2 == 0
    looks = is_chosen if spot.kind == "convolution" else stride > 1
    return extent if looks else 1, stride


SCHEDULES = {"i3d": i3d, "every_other": every_other}


def temporal_schedule(model_2d, temporal="i3d"):
    """What a schedule says of each layer of a network that could look along time.

    Args:
        model_2d: A functional or sequential 2D model.
        temporal: A name from `SCHEDULES`, or a function: `Spot` -> (extent, stride).

    Returns:
        Tuple of `Row`, in the order of the network; print one to read it.

    Raises:
        ValueError: The schedule is unknown, or does not answer with two whole numbers.
    """
    return tuple(rows_by_layer(flatten(model_2d), temporal).values())


def rows_by_layer(graph, temporal):
    """`temporal_schedule` of a graph, by the layer's identity."""
    if not callable(temporal) and temporal not in SCHEDULES:
        raise ValueError(
            f"`temporal` must be one of {tuple(SCHEDULES)} or a function: Spot -> (extent, "
            f"stride); received {temporal!r}."
        )
    schedule = temporal if callable(temporal) else SCHEDULES[temporal]
    rows = {}
    for name, spot in _spots(graph):
        extent, stride = _checked(schedule(spot), name, spot)
        rows[id(spot.layer)] = Row(name, spot, extent, stride)
    return rows


def window_of(layer):
    """(height, width) of what a layer spans, or of what it enlarges by."""
    for attribute in ("kernel_size", "pool_size", "size"):
        if hasattr(layer, attribute):
            return tuple(getattr(layer, attribute))
    raise TypeError(f"{layer!r} has no kernel, pool or size.")


def _checked(answer, name, spot):
    """A schedule's answer, if it is one."""
    try:
        extent, stride = (int(number) for number in answer)
    except (TypeError, ValueError):
        extent = stride = 0
    if extent < 1 or stride < 1 or (spot.kind == "enlargement" and extent > 1):
        raise ValueError(
            "`temporal` must answer with (extent, stride), whole numbers of at least 1, and an "
            f"extent of 1 for up-sampling; for {name!r} ({spot.kind}) it answered {answer!r}."
        )
    return extent, stride


@dataclass(frozen=True)
class _Trace:
    """How a tensor came about: by what space has been reduced, past which merges and kernels."""

    scale: Fraction | None = Fraction(1)  # None where no space is left
    merges: int = 0
    convolutions: int = 0


def _spots(graph):
    """(name, spot) of each layer of `LAYERS`; a shared layer stands where it is called first."""
    met = _surveyed(graph)
    scales = sorted({after for *_, after in met if after is not None and after > 1})
    shrinks = [layer for _, layer, trace, after in met if trace.scale == 1 and after != 1]
    offset = 0 if any(_kind(layer) == "convolution" for layer in shrinks) else 1
    has_merges = any(type(call.operation).__name__ in _JOINTS for call in graph.calls)
    first = next((layer for _, layer, *_ in met if _kind(layer) == "convolution"), None)
    for name, layer, trace, after in met:
        is_reduced = after != trace.scale and max(after, trace.scale) > 1
        halving = scales.index(max(after, trace.scale)) + offset if is_reduced else None
        yield (
            name,
            Spot(
                layer=layer,
                kind=_kind(layer),
                size=1 if _kind(layer) == "enlargement" else window_of(layer)[0],
                stride=_stride(layer),
                halving=halving,
                block=trace.merges if has_merges else trace.convolutions,
                first=layer is first,
            ),
        )


def _surveyed(graph):
    """List of (name, layer, trace of its input, scale after it), each layer once."""
    met = {}

    def visit(call):
        layer = call.operation
        trace = _merged(call.inputs, type(layer).__name__ in _JOINTS)
        if isinstance(layer, _SPACELESS):
            trace = _Trace(None, trace.merges, trace.convolutions)
        elif type(layer) in KINDS:
            after = _scale_after(layer, trace.scale)
            met.setdefault(id(layer), (call.name, layer, trace, after))
            wide = _kind(layer) == "convolution" and max(window_of(layer)) > 1
            trace = _Trace(after, trace.merges, trace.convolutions + wide)
        return [trace] * len(call.outputs)

    run(graph, [_Trace()] * len(graph.inputs), visit)
    return list(met.values())


def _merged(traces, is_joint):
    scales = [trace.scale for trace in traces if trace.scale is not None]
    return _Trace(
        scale=max(scales, default=None),
        merges=max(trace.merges for trace in traces) + (is_joint and len(traces) > 1),
        convolutions=max(trace.convolutions for trace in traces),
    )


def _scale_after(layer, scale):
    if scale is None:
        return None
    return scale / _stride(layer) if _kind(layer) == "enlargement" else scale * _stride(layer)


def _kind(layer):
    return KINDS[type(layer)]


def _stride(layer):
    return max(layer.size if isinstance(layer, keras.layers.UpSampling2D) else layer.strides)
