"""Conversion of released Sonnet checkpoints to `.weights.h5` files with rows in the manifest."""

import os
from pathlib import Path

from i3d_tf.models.inception import inception_i3d
from i3d_tf.specs import slim
from i3d_tf.specs.releases import RELEASES, UPSTREAM_URL, Release, UpstreamFile
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.specs.validation import check_choice
from i3d_tf.system.console import progress_bar
from i3d_tf.system.files import sha256
from i3d_tf.weights.assign import assign_weights
from i3d_tf.weights.download import download as download_file
from i3d_tf.weights.sonnet import SonnetWeights, read_sonnet
from i3d_tf.weights.store import save_weights
from i3d_tf.zoo.convert_2d import convert_slim, inflate_application, inflate_slim
from i3d_tf.zoo.resolve import CHECKPOINT_DIR


def convert_weights(
    release: str | None = None,
    keras_application: str | None = None,
    source: os.PathLike | str | None = None,
    download: bool = False,
    inflate: bool = False,
    base_url: str = UPSTREAM_URL,
    output_dir: os.PathLike | str = CHECKPOINT_DIR,
) -> list[Path]:
    """Converts weights of any public source; the arguments are the flags of `tools/convert.py`.

    Args:
        release: A release of I3D, or `i3d_tf.specs.slim.NAME` for TF-Slim's Inception-v1.
        keras_application: A network of `keras.applications`, instead of `release`.
        source: Files of the release, or a weights file of the application, see the functions below
            and `i3d_tf.zoo.convert_2d`.
        download: Whether the files of an I3D release are fetched, instead of `source`.
        inflate: Whether the 3D network that a 2D one is inflated to is written.
        base_url: Address of the upstream repository, for `download`.
        output_dir: Folder of the results, and of downloads.

    Returns:
        Paths of the results.

    Raises:
        ValueError: The arguments do not fit together, or the source is damaged.
        FileNotFoundError: The source does not exist.
    """
    if (release is None) == (keras_application is None):
        raise ValueError("Give either --release or --keras_application.")
    if keras_application is not None:
        if download or not inflate:
            raise ValueError(
                "--keras_application needs --inflate, and cannot be combined with --download. Give "
                "--source=FILE for other weights than those of ImageNet, which Keras downloads."
            )
        return [inflate_application(keras_application, source, output_dir)]
    if release == slim.NAME:
        if download or source is None:
            raise ValueError(
                f"--release={release} needs --source. Unpack {slim.ARCHIVE_URL} and give its file "
                "with --source=FILE."
            )
        if inflate:
            return inflate_slim(source, output_dir)
        return [convert_slim(source, output_dir)]
    check_choice("release", release, (*RELEASES, slim.NAME))
    if inflate:
        raise ValueError(
            f"--inflate is for 2D networks, and {release} is 3D already. Leave it out."
        )
    if download == (source is not None):
        raise ValueError(f"--release={release} needs either --source=DIR_OR_PREFIX or --download.")
    if download:
        source = download_release(release, Path(output_dir) / "upstream" / release, base_url)
    return [convert(release, source, output_dir)]


def convert(
    release: str, source: os.PathLike | str, output_dir: os.PathLike | str = CHECKPOINT_DIR
) -> Path:
    """Converts a released checkpoint; writes weights only if every variable fits.

    Args:
        release: One of `i3d_tf.specs.releases.RELEASES`.
        source: The folder with `model.ckpt.*`, or the files' common prefix.
        output_dir: Folder of `<release>.weights.h5` and `manifest.json`.

    Returns:
        The path of the weights.

    Raises:
        WeightsError: The source is another release, or is incomplete or corrupt.
    """
    spec = _find_release(release)
    weights = read_sonnet(source, spec)
    model = inception_i3d(
        input_shape=(None, None, None, CHANNELS[spec.stream]), classes=spec.classes, name=spec.name
    )
    count = assign_weights(model, weights.arrays)
    return save_weights(model, spec.name, output_dir, _manifest_row(spec, weights, count))


def download_release(
    release: str, directory: os.PathLike | str, base_url: str = UPSTREAM_URL
) -> Path:
    """Downloads and verifies a release's index and data file.

    Args:
        release: One of `i3d_tf.specs.releases.RELEASES`.
        directory: Folder of the two files.
        base_url: URL that the upstream paths are appended to.

    Returns:
        `directory`, which `convert` takes as its source.
    """
    spec = _find_release(release)
    for file in (spec.index, spec.data):
        fetch(file, directory, base_url)
    return Path(directory)


def fetch(file: UpstreamFile, directory: os.PathLike | str, base_url: str = UPSTREAM_URL) -> Path:
    """Downloads one upstream file with a progress bar; see `weights.download.download`."""
    with progress_bar("bytes") as bar:
        task = bar.add_task(Path(file.path).name, total=file.size)
        return download_file(
            file,
            directory,
            base_url,
            lambda done, total: bar.update(task, completed=done, total=total),
        )


def _find_release(release) -> Release:
    return RELEASES[check_choice("release", release, RELEASES)]


def _manifest_row(spec: Release, weights: SonnetWeights, count: int) -> dict:
    return {
        "architecture": "inception_i3d",
        "stream": spec.stream,
        "classes": spec.classes,
        "labels": spec.labels,
        "variables": count,
        "source": {
            "release": spec.name,
            "sha256": {file.name: sha256(file) for file in weights.files},
            "is_published_file": weights.is_published,
        },
    }
