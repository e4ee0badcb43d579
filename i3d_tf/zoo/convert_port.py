"""Conversion of public ports of I3D to `.weights.h5` files with rows in the manifest."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from i3d_tf.models.inception import inception_i3d
from i3d_tf.specs.labels import label_set_of
from i3d_tf.specs.releases import RELEASES
from i3d_tf.system.files import sha256
from i3d_tf.weights.assign import WeightsError, assign_weights
from i3d_tf.weights.ports import PortWeights, read_port
from i3d_tf.weights.released_data import matching_release
from i3d_tf.weights.store import save_weights


class ConvertedPort(NamedTuple):
    """The result of a conversion.

    Attributes:
        path: The weights.
        lines: The form, the network and the release that the values are, in words.
    """

    path: Path
    lines: list[str]


def convert_port(
    source: os.PathLike | str, name: str, output_dir: os.PathLike | str | None = None
) -> ConvertedPort:
    """Converts a public port of I3D; nothing is written unless all of it fits.

    Args:
        source: See `read_port`.
        name: Name to load the weights by. That of a release is only for the release's values.
        output_dir: Folder of `<name>.weights.h5` and `manifest.json`; None is `checkpoints` in the
            user's cache.

    Raises:
        FileNotFoundError: There is no such file.
        WeightsError: The source is something else or damaged, or not the release of that name.
        ValueError: The name cannot be part of a file's name.
    """
    port = read_port(source)
    release = matching_release(port.arrays)
    if name in RELEASES and name != release:
        found = f"; they are those of {release}" if release else ""
        raise WeightsError(
            f"{source}: its values are not known to be those of {name}, bit for bit{found}. Give "
            "another --name."
        )
    model = inception_i3d(
        include_top=port.classes is not None,
        input_shape=(None, None, None, port.channels),
        classes=port.classes or 1,
    )
    count = assign_weights(model, port.arrays)
    labels = label_set_of(port.classes)
    row: dict[str, Any] = {
        "architecture": "inception_i3d",
        "stream": port.stream,
        "classes": port.classes,
        "labels": labels,
        "variables": count,
        "source": {
            "form": port.form,
            "equals_release": release,
            "sha256": {file.name: sha256(file) for file in port.files},
        },
    }
    path = save_weights(model, name, output_dir, row)
    lines = [_describe(source, port, release, labels), *port.notes]
    if release is None and not port.has_checksum:
        lines.append(
            "Files of this form have no checksum, so that a damaged value is not noticed. Compare "
            f"the SHA-256, {row['source']['sha256'][port.files[0].name]}, with that of the source."
        )
    return ConvertedPort(path, lines)


def _describe(source, port: PortWeights, release, labels):
    text = f"{source}: {port.form}, {port.stream}"
    if port.classes is None:
        return f"{text}, without a classifier, so that it cannot be compared with a release."
    text += f", {port.classes} classes"
    if release is not None:
        return f"{text}; equal to {release}, bit for bit."
    # The data file of one release holds training state, too, so that values do not rebuild it.
    unknown = [r.name for r in RELEASES.values() if r.classes == port.classes and r.ignored]
    text += f"; not compared with {unknown[0]}." if unknown else "; equal to no release."
    if labels is None:
        return (
            f"{text} The names of the classes are unknown: write them as `labels` into its row of "
            "manifest.json."
        )
    return f"{text} The classes are taken to be those of {labels}."
