"""Conversion of 2D networks' weights: TF-Slim's Inception-v1, and inflated keras.applications."""

import os
import warnings
import zipfile
from pathlib import Path

import keras

from i3d_tf.inflation.inflate import inflate
from i3d_tf.inflation.kernels import inflate_inception
from i3d_tf.models.applications import application_names
from i3d_tf.models.inception import inception_i3d, inception_v1
from i3d_tf.specs import slim
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.specs.validation import check_choice
from i3d_tf.system.errors import short_reason
from i3d_tf.system.files import (
    atomic_write,
    check_regular,
    check_target,
    ensure_disk_space,
    sha256,
)
from i3d_tf.weights.assign import WeightsError, assign_weights, check_model
from i3d_tf.weights.h5_check import check_h5
from i3d_tf.weights.slim import read_slim, slim_files
from i3d_tf.weights.store import save_weights, user_checkpoint_dir
from i3d_tf.zoo.imagenet import download_application
from i3d_tf.zoo.network_file import load_keras

# The way in which the first layer reads a stream's channels, for the manifest.
FIRST_LAYER = {
    "rgb": "as it was",
    "flow": "mean over the 3 input channels, for each of 2, times 3/2 (after arXiv:1608.00859)",
}


def inflated_name(stream: str) -> str:
    """Returns the name of I3D weights made from TF-Slim's: `slim_inception_v1_inflated_rgb`."""
    return f"{slim.NAME}_inflated_{stream}"


def convert_slim(source: os.PathLike | str, output_dir: os.PathLike | str | None = None) -> Path:
    """Converts TF-Slim's Inception-v1; writes weights only if every variable fits.

    Args:
        source: The checkpoint, see `i3d_tf.weights.slim.slim_files`.
        output_dir: Folder of `slim_inception_v1.weights.h5` and `manifest.json`; None is
            `checkpoints` in the user's cache.

    Returns:
        The path of the weights, which `i3d_tf.load("slim_inception_v1")` loads.

    Raises:
        WeightsError: The source is something else, incomplete or corrupt.
    """
    arrays = read_slim(source)
    model = inception_v1(classes=slim.CLASSES, name=slim.NAME)
    count = assign_weights(model, arrays)
    row = _manifest_row("inception_v1", "rgb", count, _hashes(source))
    return save_weights(model, slim.NAME, output_dir, row)


def inflate_slim(
    source: os.PathLike | str,
    output_dir: os.PathLike | str | None = None,
    init: str = "repeat",
) -> list[Path]:
    """Inflates TF-Slim's Inception-v1 to I3D, for RGB and for flow.

    The head is inflated, too: for a video of one repeated picture the logits are the 2D network's.
    With another number of classes, `i3d_tf.InceptionI3D(weights=..., classes=...)` leaves the head
    out, with a warning.

    Args:
        source: The checkpoint, see `i3d_tf.weights.slim.slim_files`.
        output_dir: Folder of the two files and `manifest.json`; None is
            `checkpoints` in the user's cache.
        init: One of `i3d_tf.inflation.kernels.INITS`.

    Returns:
        The paths of both streams' weights, named by `inflated_name`.

    Raises:
        WeightsError: The source is something else, incomplete or corrupt.
    """
    arrays, hashes = read_slim(source), _hashes(source)
    paths = []
    for stream, channels in CHANNELS.items():
        name = inflated_name(stream)
        model = inception_i3d(
            input_shape=(None, None, None, channels), classes=slim.CLASSES, name=name
        )
        count = assign_weights(model, inflate_inception(arrays, channels, init))
        inflation = {"inflated": {"init": init, "first_layer": FIRST_LAYER[stream]}}
        row = _manifest_row("inception_i3d", stream, count, hashes) | inflation
        paths.append(save_weights(model, name, output_dir, row))
    return paths


def inflate_application(
    application: str,
    source: os.PathLike | str | None = None,
    output_dir: os.PathLike | str | None = None,
) -> Path:
    """Inflates a network of `keras.applications` with its weights.

    Args:
        application: Its name there, such as "ResNet50".
        source: A file with its weights (`.weights.h5`, `.h5`) or with the model (`.keras`). None
            means those of ImageNet, which Keras downloads or has in its cache.
        output_dir: Folder of `<application>_inflated.keras`; None is
            `checkpoints` in the user's cache.

    Returns:
        The path of the model, which `i3d_tf.zoo.load_keras` loads.

    Raises:
        ValueError: The application is unknown, or has a layer without a 3D form.
        WeightsError: The weights cannot be fetched, or do not fit.
    """
    check_choice("application", application, application_names())
    folder = user_checkpoint_dir() if output_dir is None else Path(output_dir)
    path = folder / f"{application}_inflated.keras"
    check_target(path, zipfile.is_zipfile, () if source is None else (source,))
    model = inflate(_model_2d(application, source))
    path.parent.mkdir(parents=True, exist_ok=True)
    ensure_disk_space(path.parent, 5 * model.count_params())  # four bytes each, and the config
    with atomic_write(path, ".keras") as temporary:
        model.save(temporary)
    return path


def _model_2d(application, source):
    """Returns the application with ImageNet's weights, or with those of a file."""
    build = getattr(keras.applications, application)
    if source is None:
        remedy = "Give a file of them with --source=FILE (.weights.h5, .h5 or .keras)."
        return download_application(application, remedy)
    size = check_regular(source).st_size
    if Path(source).suffix == ".keras":
        return load_keras(source)
    try:
        check_h5(source, size)
    except WeightsError as error:
        raise WeightsError(f"{source}: {error}") from error
    except Exception:  # noqa: S110 - h5py raises anything for damaged files; Keras says so, too
        pass
    model = _with_weights_of(source, application, build)
    check_model(source, model)
    return model


def _with_weights_of(source, application, build):
    """Returns the application with its head or, if the file has no such head, without."""
    try:
        return _load_quietly(build, source, include_top=True)
    except Exception as error:  # a file that does not fit fails anywhere, in any way
        reason = short_reason(error)
    try:
        model = _load_quietly(build, source, include_top=False)
    except Exception as error:
        raise WeightsError(
            f"{source}: not the weights of {application}, with its 1000 classes ({reason}) or "
            f"without a head ({short_reason(error)}). Save a network with another head as .keras."
        ) from error
    warnings.warn(
        f"{source} has no head of 1000 classes, and so the result has none.", stacklevel=4
    )
    return model


def _load_quietly(build, source, include_top):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Keras's, before it raises an error
        return build(weights=str(source), include_top=include_top)


def _hashes(source):
    """Returns file name to SHA-256 of the source's files; a V1 checkpoint is one file."""
    return {file.name: sha256(file) for file in dict.fromkeys(slim_files(source))}


def _manifest_row(architecture, stream, count, hashes):
    return {
        "architecture": architecture,
        "stream": stream,
        "classes": slim.CLASSES,
        "variables": count,
        "source": {"release": slim.NAME, "sha256": hashes},
    }
