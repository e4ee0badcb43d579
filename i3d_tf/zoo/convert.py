"""Conversion of public weights to `.weights.h5` files with rows in the manifest."""

import os
from pathlib import Path

from i3d_tf.specs import slim
from i3d_tf.specs.releases import RELEASES, UPSTREAM_URL
from i3d_tf.specs.validation import check_choice
from i3d_tf.system.console import print_lines
from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.download import DownloadError
from i3d_tf.weights.store import user_checkpoint_dir
from i3d_tf.zoo.convert_2d import convert_slim, inflate_application, inflate_slim
from i3d_tf.zoo.convert_network import convert_network, read_public_network
from i3d_tf.zoo.convert_port import convert_port
from i3d_tf.zoo.releases import UPSTREAM_DIR, convert, download_release


def convert_weights(
    release: str | None = None,
    keras_application: str | None = None,
    source: os.PathLike | str | None = None,
    download: bool = False,
    inflate: bool = False,
    base_url: str = UPSTREAM_URL,
    output_dir: os.PathLike | str | None = None,
    name: str | None = None,
    geometry: str | None = None,
) -> list[Path]:
    """Converts weights of any public source; the arguments are the flags of `tools/convert.py`.

    Args:
        release: A release of I3D, or `i3d_tf.specs.slim.NAME` for TF-Slim's Inception-v1.
        keras_application: A network of `keras.applications`, instead of `release`.
        source: Files of the release, a weights file of the application, or the port, see the
            functions below and `i3d_tf.zoo.convert_2d`.
        download: Whether the files of an I3D release are fetched, instead of `source`.
        inflate: Whether the 3D network that a 2D one is inflated to is written.
        base_url: Address of the upstream repository, for `download`.
        output_dir: Folder of the results, and of downloads; None is `checkpoints` in the user's
            cache.
        name: A name for the weights of a public port of I3D, or of another network, which `source`
            is found to be by its content, see `i3d_tf.weights.ports.read_port` and
            `i3d_tf.weights.public_networks`. Prints the form, and the release that the values are,
            if any.
        geometry: See `i3d_tf.zoo.convert_network.convert_network`.

    Returns:
        Paths of the results.

    Raises:
        ValueError: The arguments do not fit together, or the source is damaged.
        FileNotFoundError: The source does not exist.
    """
    if [release, keras_application, name].count(None) != 2:
        raise ValueError("Give either --release or --keras_application or --name.")
    if name is not None:
        if source is None or download or inflate:
            raise ValueError(
                "--name needs --source=FILE, and cannot be combined with --download or --inflate."
            )
        return [_convert_named(source, name, output_dir, geometry)]
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
    name = check_choice("release", release, (*RELEASES, slim.NAME))
    if inflate:
        raise ValueError(
            f"--inflate is for 2D networks, and {release} is 3D already. Leave it out."
        )
    if download == (source is not None):
        raise ValueError(f"--release={release} needs either --source=DIR_OR_PREFIX or --download.")
    if source is None:
        folder = user_checkpoint_dir() if output_dir is None else Path(output_dir)
        try:
            source = download_release(name, folder / UPSTREAM_DIR / name, base_url)
        except DownloadError as error:
            raise WeightsError(
                f"{error} Run the command again to continue, name another place with --base_url, "
                "or fetch the files yourself and name their folder with --source."
            ) from error
    return [convert(name, source, output_dir)]


def _convert_named(source, name, output_dir, geometry):
    file = read_public_network(source)
    if file is None:
        if geometry is not None:
            raise ValueError(f"{source}: --geometry is for a ResNet-50. Leave it out.")
        converted = convert_port(source, name, output_dir)
    else:
        converted = convert_network(source, file, name, output_dir, geometry)
    print_lines(*converted.lines)
    return converted.path
