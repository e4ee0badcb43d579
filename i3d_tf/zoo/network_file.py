"""Networks from files: `.keras`, and `.weights.h5` of an Inception, whose shapes say the rest."""

import io
import os
import warnings
import zipfile
from collections import Counter
from typing import TYPE_CHECKING

from i3d_tf.specs.geometry import filters_out
from i3d_tf.specs.inception_v1 import I3D, widen
from i3d_tf.specs.validation import check_positive
from i3d_tf.system.errors import short_reason
from i3d_tf.system.expansion import check_archive
from i3d_tf.system.files import check_regular, open_regular
from i3d_tf.weights.assign import WeightsError, check_model
from i3d_tf.weights.h5_check import check_h5
from i3d_tf.weights.weights_file import RANKS, describe_weights, shapes_of_weights
from i3d_tf.zoo.networks import MODELS, build
from i3d_tf.zoo.resolve import NAME, ResolvedWeights

if TYPE_CHECKING:
    import keras


def load_network(
    weights: ResolvedWeights,
    input_shape: tuple[int | None, ...] | None = None,
    width_multiplier: float = 1.0,
) -> "keras.Model":
    """Returns the network of resolved weights, not compiled.

    Args:
        weights: Resolved weights of any kind.
        input_shape: See `load_weights_file`; a `.keras` file has a shape of its own.
        width_multiplier: That of a `.weights.h5` file which is given by its path; a manifest tells
            that of a name.

    Raises:
        WeightsError: The file is damaged, or does not fit.
    """
    if weights.path.suffix == ".keras":
        return load_keras(weights.path)
    if weights.kind != NAME:
        return load_weights_file(weights.path, width_multiplier, input_shape)
    architecture = weights.row.get("architecture", "inception_i3d")
    if architecture not in MODELS:
        raise WeightsError(
            f"{weights.path}: the manifest's `architecture` must be one of {tuple(MODELS)}; it is "
            f"{architecture!r}."
        )
    if architecture not in RANKS:
        return _load_with_arguments(weights, architecture, input_shape)
    width_multiplier = weights.row.get("width_multiplier", 1.0)
    name = weights.reference
    return load_weights_file(weights.path, width_multiplier, input_shape, name, architecture)


def _load_with_arguments(weights, architecture, input_shape):
    """Returns a network that is built with the arguments in its row of the manifest."""
    arguments = dict(weights.row.get("arguments", {}))
    if input_shape is not None:
        arguments["input_shape"] = input_shape
    try:
        model = build(architecture, **{**arguments, "name": weights.reference})
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"{weights.path}: the `arguments` in its row of the manifest are invalid "
            f"({short_reason(error)})."
        ) from error
    _load_values(weights.path, model, shapes_of_weights(weights.path))
    return model


def load_keras(path: os.PathLike | str) -> "keras.Model":
    """Returns the model of a `.keras` file, not compiled; code in the file is not run.

    Raises:
        WeightsError: The file is something else or damaged, or its values are refused by
            `i3d_tf.weights.assign.check_values`.
    """
    import keras

    _check_keras(path)
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged file fails anywhere, in any way
        raise WeightsError(f"{path}: cannot be loaded ({short_reason(error)}).") from error
    if not model.built:
        raise WeightsError(
            f"{path}: the model in it was never built. Call it once and save it again."
        )
    check_model(path, model)
    return model


def restore_state(model: "keras.Model", path: os.PathLike | str) -> None:
    """Reads weights and the optimizer's variables of a `.keras` file into the model they are of.

    Args:
        model: A compiled model, whose optimizer is built.
        path: The file.

    Raises:
        WeightsError: The file is damaged, or of another model.
    """
    _check_keras(path, "not the state of this run")
    with warnings.catch_warnings():
        # Keras only warns of an optimizer whose variables do not fit.
        warnings.simplefilter("error", UserWarning)
        try:
            model.load_weights(path)
        except Exception as error:  # a damaged file fails anywhere, in any way
            raise WeightsError(
                f"{path}: not the state of this run ({short_reason(error)})."
            ) from error
    check_model(path, model)


def load_weights_file(
    path: os.PathLike | str,
    width_multiplier: float = 1.0,
    input_shape: tuple[int | None, ...] | None = None,
    name: str = "inception_i3d",
    architecture: str = "inception_i3d",
) -> "keras.Model":
    """Returns the network of a `.weights.h5` file; channels and classes are those of the file.

    Args:
        path: The file.
        width_multiplier: The network's, with which the file is compared.
        input_shape: (T, H, W, C), or (H, W, C) of a 2D network; None means any size.
        name: Name of the model.
        architecture: The network, one of `i3d_tf.weights.weights_file.RANKS`.

    Raises:
        WeightsError: The file is damaged, does not fit, or has values that
            `i3d_tf.weights.assign.check_values` refuses.
    """
    check_positive("width_multiplier", width_multiplier)
    found = describe_weights(path, architecture)
    filters = filters_out(widen(I3D[0], width_multiplier), found.channels)
    if found.filters != filters:
        raise WeightsError(
            f"{path}: its first layer has {found.filters} filters; with width_multiplier="
            f"{width_multiplier} it would have {filters}."
        )
    any_size = (*(None,) * RANKS[architecture], found.channels)
    model = build(
        architecture,
        include_top=found.classes is not None,
        classes=found.classes or 1,
        input_shape=any_size if input_shape is None else input_shape,
        width_multiplier=width_multiplier,
        name=name,
    )
    if model.input_shape[-1] != found.channels:
        raise WeightsError(
            f"{path}: these weights read {found.channels} channels (RGB has 3, flow 2), and "
            f"`input_shape` has {model.input_shape[-1]}."
        )
    _load_values(path, model, found.shapes)
    return model


def _load_values(path, model, found):
    """Reads the weights of a file into a network, after comparing their shapes with its own."""
    name = model.name
    if len(model.weights) != len(found):
        raise WeightsError(
            f"{path}: {len(found)} arrays; {name!r} has {len(model.weights)} variables."
        )
    shapes = Counter(tuple(variable.shape) for variable in model.weights)
    if others := sorted(Counter(found) - shapes):
        raise WeightsError(
            f"{path}: does not fit {name!r}: more of its arrays have shape {others[0]} than the "
            "network's."
        )
    try:
        model.load_weights(path)
    except Exception as error:  # a damaged file fails anywhere, in any way
        raise WeightsError(f"{path}: does not fit {name!r} ({short_reason(error)}).") from error
    check_model(path, model)


def _check_keras(path, failure="cannot be loaded"):
    """Checks a `.keras` file, a ZIP archive with HDF5 in it, before any of it is unpacked."""
    size = check_regular(path).st_size
    if not zipfile.is_zipfile(path):
        raise WeightsError(f"{path}: not a .keras file, or cut short.")
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            check_archive(archive)
            for member in archive.infolist():
                if member.filename.endswith(".h5"):
                    check_h5(io.BytesIO(archive.read(member)), size)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    except Exception as error:  # a damaged file fails anywhere, in any way
        raise WeightsError(f"{path}: {failure} ({short_reason(error)}).") from error
