"""Temporal schedules of an inflated network: kernel size and stride in time for each layer.

A schedule is a function from a `LayerSite`, a layer and its place in the 2D network, to
(kernel_size, stride), both in time. `SCHEDULES` has the named ones, and `temporal_schedule` applies
one to a network:

    for plan in temporal_schedule(keras.applications.ResNet50(weights=None)):
        print(plan)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import keras

from i3d_tf.inflation.flatten import Graph, flatten, run

ROLES = {
    "convolution": (
        keras.layers.Conv2D,
        keras.layers.DepthwiseConv2D,
        keras.layers.SeparableConv2D,
    ),
    "pooling": (keras.layers.AveragePooling2D, keras.layers.MaxPooling2D),
    "upsampling": (keras.layers.Conv2DTranspose, keras.layers.UpSampling2D),
}
_ROLE_OF = {layer: role for role, layers in ROLES.items() for layer in layers}
_FORMER_KINDS = {"convolution": "convolution", "pooling": "pool", "upsampling": "enlargement"}
_MERGES = ("Add", "Concatenate")
_SPACELESS = (
    keras.layers.Flatten,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
)


class LayerSite(NamedTuple):
    """A layer of the 2D network that could get a kernel in time, and its place in the network.

    Attributes:
        layer: The 2D layer.
        role: One of `ROLES`. Upsampling has a kernel size of 1 in time, and its stride makes time
            longer.
        kernel_size: Height of its kernel, N for an NxN convolution. Of a factorized pair the 7x1
            has 7 and the 1x7 has 1, so that the pair gets one kernel in time. Upsampling has 1.
        stride: Factor by which it makes the image smaller (or, upsampling, larger).
        downsampling_index: Number of the reduction of the image that it performs (or, upsampling,
            undoes), None if it keeps the image's size. Reductions are counted from 0 if a
            convolution performs the first, else from 1.
        block: Number of merges (residual additions, concatenations) before it; in a network without
            any, number of convolutions larger than 1x1.
        first: Whether it is the network's first convolution.
        opens_bottleneck: Whether it is a 1x1 convolution in front of a larger one, with nothing but
            batch norm and activation between them, in a network with merges.
        stage: Number of sizes of image that blocks before its block have, of those that differ.
        block_in_stage: Number of merges before it in its stage.
    """

    layer: keras.layers.Layer
    role: str
    kernel_size: int
    stride: int
    downsampling_index: int | None
    block: int
    first: bool
    opens_bottleneck: bool = False
    stage: int = 0
    block_in_stage: int = 0

    @property
    def kind(self) -> str:
        """The former name of `role`, with "pool" for "pooling", "enlargement" for "upsampling"."""
        return _FORMER_KINDS[self.role]

    @property
    def size(self) -> int:
        """The former name of `kernel_size`."""
        return self.kernel_size

    @property
    def halving(self) -> int | None:
        """The former name of `downsampling_index`."""
        return self.downsampling_index


Spot = LayerSite  # its former name

Schedule = Callable[[LayerSite], tuple[int, int]]


class LayerPlan(NamedTuple):
    """The inflation of a layer.

    Attributes:
        name: Name of the layer.
        site: The layer and its place.
        kernel_size: Kernel size in time.
        stride: Stride in time.
    """

    name: str
    site: LayerSite
    kernel_size: int
    stride: int

    @property
    def spot(self) -> LayerSite:
        """The former name of `site`."""
        return self.site

    @property
    def extent(self) -> int:
        """The former name of `kernel_size`."""
        return self.kernel_size

    def __str__(self):
        height, width = window_of(self.site.layer)
        stride = self.site.stride
        sizes = f"{height}x{width} -> {self.kernel_size}x{height}x{width}"
        return f"{self.name:32}{sizes:22}stride {stride} -> {self.stride},{stride},{stride}"


def i3d(site: LayerSite) -> tuple[int, int]:
    """Applies the paper's schedule (arXiv:1705.07750, section 2.4), as a rule for any network.

    Every NxN convolution and pool becomes NxNxN. If the first convolution halves the image, it
    halves time too; the two reductions after it keep time, and pool single frames; all later ones
    reduce time as they reduce space. Five reductions make time 8 times shorter.
    """
    stride = 1 if site.downsampling_index in (None, 1, 2) else site.stride
    keeps_frames = site.role == "pooling" and stride < site.stride
    return 1 if keeps_frames else site.kernel_size, stride


def every_other(site: LayerSite) -> tuple[int, int]:
    """Applies "i3d" to the convolutions of every other block.

    The lighter inflation of Wang et al. 2018 ("Non-local Neural Networks", arXiv:1711.07971,
    section 4), in its 3x3x3 form: of the blocks the first, third, ... get kernels in time, and so
    does the first convolution. Pools get them where they shorten time.
    """
    kernel_size, stride = i3d(site)
    is_chosen = site.first or site.block % 2 == 0
    is_temporal = is_chosen if site.role == "convolution" else stride > 1
    return kernel_size if is_temporal else 1, stride


FIRST_KERNEL_TIME = 5
LAST_STAGE = 3


def bottleneck(site: LayerSite) -> tuple[int, int]:
    """Gives kernels in time to the 1x1 convolutions that open residual bottlenecks.

    The 3x1x1 form of Wang et al. 2018 (arXiv:1711.07971, section 4), as released for ResNet-50: in
    all blocks of the first stage, every other of the later ones (from the first, in the fourth
    stage from the second), and 5 steps in the first convolution. Time gets shorter where "i3d" says
    so; pools get kernels in time there.
    """
    kernel_size, stride = i3d(site)
    if site.role != "convolution":
        return kernel_size if stride > 1 else 1, stride
    if site.first:
        return min(FIRST_KERNEL_TIME, kernel_size), stride
    is_chosen = site.stage == 0 or site.block_in_stage % 2 == (site.stage == LAST_STAGE)
    return 3 if site.opens_bottleneck and is_chosen else 1, stride


SCHEDULES = {"i3d": i3d, "every_other": every_other, "bottleneck": bottleneck}


def temporal_schedule(
    model_2d: keras.Model, temporal: str | Schedule = "i3d"
) -> tuple[LayerPlan, ...]:
    """Returns the inflation of each layer that could get a kernel in time.

    Args:
        model_2d: A functional or sequential 2D model.
        temporal: A name from `SCHEDULES`, or a function: `LayerSite` -> (kernel_size, stride).

    Returns:
        Plans in the order of the network; they can be printed.

    Raises:
        ValueError: The schedule is unknown, or does not return two positive integers.
    """
    return tuple(plans_by_layer(flatten(model_2d), temporal).values())


def plans_by_layer(graph: Graph, temporal: str | Schedule) -> dict[int, LayerPlan]:
    """Returns `temporal_schedule` of a graph, by the layer's identity."""
    if not callable(temporal) and temporal not in SCHEDULES:
        raise ValueError(
            f"`temporal` must be one of {tuple(SCHEDULES)} or a function: LayerSite -> "
            f"(kernel_size, stride); received {temporal!r}."
        )
    schedule = temporal if callable(temporal) else SCHEDULES[temporal]
    plans = {}
    for name, site in _sites(graph):
        kernel_size, stride = _check_result(schedule(site), name, site)
        plans[id(site.layer)] = LayerPlan(name, site, kernel_size, stride)
    return plans


def window_of(layer: keras.layers.Layer) -> tuple[int, int]:
    """Returns (height, width) of a layer's kernel, or of its upsampling factors."""
    sizes = ("kernel_size", "pool_size", "size")
    return tuple(next(getattr(layer, name) for name in sizes if hasattr(layer, name)))


def _check_result(result, name, site):
    """Returns a schedule's result as two integers."""
    try:
        kernel_size, stride = (int(number) for number in result)
    except (TypeError, ValueError):
        kernel_size = stride = 0
    if kernel_size < 1 or stride < 1 or (site.role == "upsampling" and kernel_size > 1):
        raise ValueError(
            "`temporal` must return (kernel_size, stride), integers >= 1, and a kernel size of 1 "
            f"for upsampling; received {result!r} for {name!r} ({site.role})."
        )
    return kernel_size, stride


@dataclass(frozen=True)
class _Depth:
    """Spatial scale and depth at which a tensor is computed."""

    scale: Fraction | None = Fraction(1)  # None if the tensor has no space
    merges: int = 0
    convolutions: int = 0
    pointwise: int | None = None  # identity of a 1x1 convolution, with little behind it


class _Visit(NamedTuple):
    """A layer of `ROLES`, with the depth of its input and the scale of its output."""

    name: str
    layer: keras.layers.Layer
    depth: _Depth
    scale_after: Fraction | None


def _sites(graph: Graph) -> Iterator[tuple[str, LayerSite]]:
    """Yields (name, site) of each layer of `ROLES`; a shared layer counts at its first call."""
    visits, openers, merge_scales = _visit_layers(graph)
    scales = sorted({v.scale_after for v in visits if v.scale_after and v.scale_after > 1})
    reducing = [v.layer for v in visits if v.depth.scale == 1 and v.scale_after != 1]
    offset = 0 if any(_role(layer) == "convolution" for layer in reducing) else 1
    has_merges = any(type(call.operation).__name__ in _MERGES for call in graph.calls)
    first = next((v.layer for v in visits if _role(v.layer) == "convolution"), None)
    for name, layer, depth, scale_after in visits:
        is_resized = scale_after != depth.scale and max(scale_after, depth.scale) > 1
        index = scales.index(max(scale_after, depth.scale)) + offset if is_resized else None
        site = LayerSite(
            layer=layer,
            role=_role(layer),
            kernel_size=1 if _role(layer) == "upsampling" else window_of(layer)[0],
            stride=_stride(layer),
            downsampling_index=index,
            block=depth.merges if has_merges else depth.convolutions,
            first=layer is first,
            opens_bottleneck=id(layer) in openers,
            **_stage_of(depth.merges, merge_scales),
        )
        yield name, site


def _stage_of(block, merge_scales):
    """Returns the number of a block's stage, and of the block in it."""
    scales = [merge_scales[number] for number in sorted(merge_scales)]
    if block >= len(scales):
        return {}
    before = scales[:block]
    return {
        "stage": len({scale for scale in before if scale != scales[block]}),
        "block_in_stage": before.count(scales[block]),
    }


def _visit_layers(graph):
    """Returns what the layers of a graph tell.

    Returns:
        (a `_Visit` of each layer of `ROLES`, in the order of their first calls; identities of the
        1x1 convolutions that open bottlenecks; number of a merge -> scale of its output).
    """
    visits, openers, merge_scales = {}, set(), {}

    def visit(call):
        layer = call.operation
        is_merge = type(layer).__name__ in _MERGES
        depth = _merge(call.inputs, is_merge)
        if is_merge and len(call.inputs) > 1:
            merge_scales.setdefault(depth.merges - 1, depth.scale)
        if isinstance(layer, _SPACELESS):
            depth = _Depth(None, depth.merges, depth.convolutions)
        elif type(layer) in _ROLE_OF:
            after = _scale_after(layer, depth.scale)
            visits.setdefault(id(layer), _Visit(call.name, layer, depth, after))
            is_wide = _role(layer) == "convolution" and max(window_of(layer)) > 1
            if is_wide and depth.pointwise is not None:
                openers.add(depth.pointwise)
            is_pointwise = _role(layer) == "convolution" and not is_wide
            pointwise = id(layer) if is_pointwise else None
            depth = _Depth(after, depth.merges, depth.convolutions + is_wide, pointwise)
        return [depth] * len(call.outputs)

    run(graph, [_Depth()] * len(graph.inputs), visit)
    return list(visits.values()), openers, merge_scales


def _merge(depths, is_merge):
    scales = [depth.scale for depth in depths if depth.scale is not None]
    return _Depth(
        scale=max(scales, default=None),
        merges=max(depth.merges for depth in depths) + (is_merge and len(depths) > 1),
        convolutions=max(depth.convolutions for depth in depths),
        pointwise=depths[0].pointwise if len(depths) == 1 else None,
    )


def _scale_after(layer, scale):
    if scale is None:
        return None
    return scale / _stride(layer) if _role(layer) == "upsampling" else scale * _stride(layer)


def _role(layer):
    return _ROLE_OF[type(layer)]


def _stride(layer):
    return max(layer.size if isinstance(layer, keras.layers.UpSampling2D) else layer.strides)
