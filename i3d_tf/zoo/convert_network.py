"""Conversion of public weights of the networks around I3D: S3D, R(2+1)D, ResNet-50 and others."""

import os
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from i3d_tf.specs.further_networks import FURTHER_NETWORKS
from i3d_tf.specs.labels import label_set_of
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.system.console import printable
from i3d_tf.system.files import sha256
from i3d_tf.weights.assign import MAX_NAMES_IN_ERRORS, WeightsError, assign_weights
from i3d_tf.weights.lstm_gates import caffe_gates
from i3d_tf.weights.named_tensors import NamedTensors, Tensor, read_named_tensors
from i3d_tf.weights.public_networks import COUNTER, TORCH, FoundForm, find_form
from i3d_tf.weights.store import save_weights
from i3d_tf.zoo.convert_port import ConvertedPort
from i3d_tf.zoo.networks import build

MAX_CLASSES = 65_536  # a few bytes can declare any shape, and memory is taken by it


def read_public_network(source: os.PathLike | str) -> NamedTensors | None:
    """Reads the arrays of a public file of a network around I3D; None for other files."""
    try:
        file = read_named_tensors(source)
    except (OSError, WeightsError):  # the reader of I3D's ports says what it is
        return None
    return None if find_form(file.tensors) is None else file


def convert_network(
    source: os.PathLike | str,
    file: NamedTensors,
    name: str,
    output_dir: os.PathLike | str | None = None,
    geometry: str | None = None,
) -> ConvertedPort:
    """Converts a public file of a network around I3D; nothing is written unless all of it fits.

    Args:
        source: The file, for messages.
        file: Its arrays.
        name: Name to load the weights by.
        output_dir: Folder of `<name>.weights.h5` and `manifest.json`; None is `checkpoints` in the
            user's cache.
        geometry: See `i3d_tf.models.resnet_3d.resnet_50`; only for its weights, and needed where a
            file does not tell.

    Raises:
        WeightsError: The file is of another network, or damaged.
        ValueError: The name cannot be part of a file's name.
    """
    try:
        return _convert(source, file, name, output_dir, geometry)
    except WeightsError as error:  # with names in it that a stranger may have chosen
        raise WeightsError(printable(str(error))) from error


def _convert(source, file, name, output_dir, geometry):
    found = find_form(file.tensors)
    if found is None:
        example = min(file.tensors, default="none")
        raise WeightsError(f"{source}: these are not the names of a known network ({example}).")
    tensors = _of_network(file.tensors, found)
    network, arguments = _network_of(source, found.form, tensors)
    if geometry is not None:
        arguments["geometry"] = geometry
    elif found.form.unsaid == "geometry":
        raise WeightsError(
            f"{source}: {found.form.title}, and its files do not say how time shrinks. Give "
            "--geometry=released for video-nonlocal-net's weights for 32 frames, released_8x8 for "
            "those for 8, or slowfast for PySlowFast's."
        )
    model = build(network, **arguments)
    arrays = _read_arrays(source, found.form, tensors, model)
    count = assign_weights(model, arrays)
    classes = arguments.get("classes")
    labels = label_set_of(classes)
    row = {
        "architecture": network,
        "arguments": arguments,
        "stream": "flow" if model.input_shape[-1] == CHANNELS["flow"] else "rgb",
        "classes": classes,
        "labels": labels,
        "variables": count,
        "source": {
            "form": f"{file.form} with the names of {found.form.title}",
            "sha256": {path.name: sha256(path) for path in file.files},
        },
    }
    sampling = FURTHER_NETWORKS.get(f"{network}_{arguments.get('modality')}")
    sampling = sampling or FURTHER_NETWORKS.get(network)
    is_of_one_size = None not in model.input_shape[-3:-1]
    if sampling is not None and (is_of_one_size or sampling.segments > 1):
        row["protocol"] = sampling.protocol.as_json()
    path = save_weights(model, name, output_dir, row)
    return ConvertedPort(path, _describe(source, file, found.form, network, arguments, labels, row))


def _of_network(tensors, found: FoundForm) -> dict[str, Tensor]:
    """Returns the tensors of the network alone, by the form's names."""
    form = found.form
    named = {
        name.removeprefix(found.prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(found.prefix)
    }
    ends = (COUNTER, *form.ignored_ends)
    return {
        name: tensor
        for name, tensor in named.items()
        if not name.endswith(ends) and not (form.ignored and name.startswith(form.ignored))
    }


def _network_of(source, form, tensors) -> tuple[str, dict[str, Any]]:
    """Returns the name and the arguments of the network whose weights these are."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    try:
        options = form.options(shapes)
    except (KeyError, IndexError, ValueError) as error:
        raise WeightsError(
            f"{source}: these are not all the names of {form.title} ({error})."
        ) from error
    network = options.pop("network", form.network)
    if form.pixels is not None:
        options["pixel_mean"], options["pixel_std"] = map(list, form.pixels)
    if form.channel_order != "rgb":
        options["channel_order"] = form.channel_order
    last = shapes.get(form.classifier)
    if last is None:
        return network, {**options, "include_top": False}
    classes = last[0] if form.order == TORCH else last[-1]
    if not 1 <= classes <= MAX_CLASSES:
        raise WeightsError(f"{source}: damaged: it declares {classes:,} classes.")
    return network, {**options, "classes": classes}


def _read_arrays(source, form, tensors: Mapping[str, Tensor], model) -> dict[str, np.ndarray]:
    """Reads the values of every variable, after comparing names and shapes in both directions."""
    wanted = {variable.path: form.name(variable.path) for variable in model.weights}
    problems = []
    if missing := sorted(set(wanted.values()) - set(tensors)):
        problems.append(f"{len(missing)} are missing ({_some(missing)})")
    if unknown := sorted(set(tensors) - set(wanted.values())):
        problems.append(f"{len(unknown)} are unknown ({_some(unknown)})")
    if problems:
        raise WeightsError(
            f"{source}: these are not the names of {form.title}: {' and '.join(problems)}."
        )
    shapes = {variable.path: tuple(variable.shape) for variable in model.weights}
    for path, name in wanted.items():
        _check_shape(source, form, name, tuple(tensors[name].shape), shapes[path])
    return {
        path: _values(source, form, name, tensors[name]).reshape(shapes[path])
        for path, name in wanted.items()
    }


def _check_shape(source, form, name, found, ours):
    """Checks that an array has our shape; axes of one position may be there or not."""
    if form.order == TORCH and len(found) > 1:
        found = (*found[2:], found[1], found[0])
    if [n for n in found if n > 1] != [n for n in ours if n > 1] or prod(found) != prod(ours):
        raise WeightsError(f"{source}: {name} has shape {found}, and the network has {ours}.")


def _values(source, form, name, tensor):
    """Reads an array as float32, its axes in our order."""
    if tensor.dtype not in ("float32", "float64", "float16", "bfloat16"):
        raise WeightsError(f"{source}: {name} is {tensor.dtype}, not float32.")
    try:
        values = tensor.read()
    except WeightsError as error:
        raise WeightsError(f"{source}: {error}") from error
    with np.errstate(over="ignore"):  # what is too large is refused as infinite
        values = values.astype(np.float32)
    if name in form.gates:
        values = caffe_gates(values)
    if name in form.flattened:
        return _with_channels_last(values, form.flattened[name])
    if form.order == TORCH and values.ndim > 1:
        values = values.transpose(*range(2, values.ndim), 1, 0)
    return np.ascontiguousarray(values)


def _with_channels_last(matrix, axes):
    """Returns (inputs, outputs) of a matrix (outputs, inputs) whose inputs are flattened axes.

    Args:
        matrix: The matrix.
        axes: (C, *positions) of its inputs.
    """
    apart = matrix.reshape(len(matrix), *axes)
    last = np.moveaxis(apart, 1, -1).reshape(matrix.shape)
    return np.ascontiguousarray(last.T)


def _some(names):
    return ", ".join(names[:MAX_NAMES_IN_ERRORS]) + ", ..." * (len(names) > MAX_NAMES_IN_ERRORS)


def _describe(source, file, form, network, arguments, labels, row):
    options = ", ".join(
        f"{name}={value!r}" for name, value in arguments.items() if name != "classes"
    )
    lines = [
        f"{source}: {file.form} with the names of {form.title}: {network}"
        + (f" ({options})" if options else "")
    ]
    if "classes" not in arguments:
        lines.append("It has no classifier: the network gives features.")
    elif labels is None:
        lines.append(
            "The names of the classes are unknown: write them as `labels` into its row of "
            "manifest.json."
        )
    else:
        lines.append(f"The classes are taken to be those of {labels}.")
    if arguments.get("non_local"):
        lines.append(
            "Its Non-local blocks are taken to be softmax with a scale, as in the released ones, "
            "since files do not tell. Others need `instantiation` or `use_scale` in `arguments` of "
            "its row of manifest.json."
        )
    if not file.has_checksum:
        digest = next(iter(row["source"]["sha256"].values()))
        lines.append(
            "Files of this form have no checksum, so that a damaged value is not noticed. Compare "
            f"the SHA-256, {digest}, with that of the source."
        )
    return lines
