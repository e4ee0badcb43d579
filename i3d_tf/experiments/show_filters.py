"""First-layer filters of networks as a picture and as an animation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from i3d_tf.system.files import atomic_write, check_target
from i3d_tf.viz.contact_sheet import write_png
from i3d_tf.viz.filters import encode_animation, filter_frames, filter_sheet, paint_filters
from i3d_tf.weights.assign import WeightsError, read_weights
from i3d_tf.weights.store import SUFFIX
from i3d_tf.weights.weights_file import read_first_kernel
from i3d_tf.zoo import load_keras
from i3d_tf.zoo.resolve import resolve

SHEET = "filters.png"
ANIMATION = "filters_over_time.png"


def write_filter_pictures(
    names: Sequence[Path | str],
    output_dir: Path | str,
    checkpoint_dir: Path | str | None = None,
    scale: int = 4,
) -> tuple[Path, Path]:
    """Paints the first layers of networks below each other and, animated, side by side.

    Args:
        names: Names in the checkpoint directory, `.weights.h5` or `.keras` files, or folders of
            training runs, whose best state is shown.
        output_dir: Folder for `filters.png` and `filters_over_time.png`; it is made where it does
            not exist.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        scale: Pixels per tap.

    Returns:
        The paths of the picture and of the animation.

    Raises:
        FileNotFoundError: A network does not exist.
        ValueError: `names` is empty, or a network has no first layer that can be shown.
    """
    if not names:
        raise ValueError("`names` must name at least one network; received none.")
    rows = [
        (caption_of(name), paint_filters(first_kernel(name, checkpoint_dir), scale))
        for name in names
    ]
    sheet, animation = filter_sheet(rows), encode_animation(filter_frames(rows))
    directory = Path(output_dir)
    directory.mkdir(parents=True, exist_ok=True)
    paths = directory / SHEET, directory / ANIMATION
    for path in paths:
        check_target(path, lambda path: path.read_bytes().startswith(b"\x89PNG"), names)
    with atomic_write(paths[0]) as picture, atomic_write(paths[1]) as animated:
        write_png(picture, sheet)
        animated.write_bytes(animation)
    return paths


def first_kernel(name: Path | str, checkpoint_dir: Path | str | None = None) -> np.ndarray:
    """Reads the kernel of a network's first convolution.

    Args:
        name: One of the `names` of `write_filter_pictures`.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.

    Returns:
        Float (t, h, w, channels, filters), or (h, w, channels, filters) of a 2D network.
    """
    path = resolve(name, checkpoint_dir).path
    return _kernel_of_model(path) if path.suffix == ".keras" else read_first_kernel(path)


def caption_of(name: Path | str) -> str:
    """Returns a network's caption: its name, or that of its file or folder without the suffix."""
    return Path(name).name.removesuffix(SUFFIX).removesuffix(".keras")


def _kernel_of_model(path):
    weights = read_weights(load_keras(path))
    kernels = [
        value
        for name, value in weights.items()
        if name.endswith("/kernel") and value.ndim in (4, 5)
    ]
    if not kernels:
        raise WeightsError(f"{path}: a network without a convolution.")
    return kernels[0]
