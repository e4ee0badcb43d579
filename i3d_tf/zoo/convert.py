"""From a released Sonnet checkpoint to a `.weights.h5` file and its row in the manifest."""

from pathlib import Path

from i3d_tf.models.inception import inception_i3d
from i3d_tf.specs.releases import RELEASES, UPSTREAM_URL, Release
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.system.console import progress_bar
from i3d_tf.system.files import sha256
from i3d_tf.weights.assign import assign_weights
from i3d_tf.weights.download import download
from i3d_tf.weights.sonnet import checkpoint_files, identify, read_sonnet
from i3d_tf.weights.store import save_weights


def convert(release: str, source, output_dir="checkpoints") -> Path:
    """Converts a released checkpoint; nothing is written unless all of it fits.

    Args:
        release: One of `i3d_tf.specs.releases.RELEASES`.
        source: The folder with `model.ckpt.*`, or the files' common prefix.
        output_dir: Where `<release>.weights.h5` and `manifest.json` go.

    Returns:
        The path of the weights.

    Raises:
        WeightsError: The source is not this release, or is incomplete or corrupt.
    """
    spec = _find_release(release)
    arrays = read_sonnet(source, spec)
    model = inception_i3d(
        input_shape=(None, None, None, CHANNELS[spec.stream]), classes=spec.classes, name=spec.name
    )
    count = assign_weights(model, arrays)
    return save_weights(model, spec.name, output_dir, _manifest_row(spec, source, count))


def download_release(release: str, directory, base_url=UPSTREAM_URL) -> Path:
    """Fetches and verifies a release's index and data file.

    Args:
        release: One of `i3d_tf.specs.releases.RELEASES`.
        directory: Where the two files go.
        base_url: What the upstream paths are appended to.

    Returns:
        `directory`, which `convert` takes as its source.
    """
    spec = _find_release(release)
    for file in (spec.index, spec.data):
        fetch(file, directory, base_url)
    return Path(directory)


def fetch(file, directory, base_url=UPSTREAM_URL) -> Path:
    """Downloads one upstream file with a progress bar; see `weights.download.download`."""
    with progress_bar("bytes") as bar:
        task = bar.add_task(Path(file.path).name, total=file.size)
        return download(
            file,
            directory,
            base_url,
            lambda done, total: bar.update(task, completed=done, total=total),
        )


def _find_release(release) -> Release:
    if release not in RELEASES:
        raise ValueError(f"`release` must be one of {tuple(RELEASES)}; received {release!r}.")
    return RELEASES[release]


def _manifest_row(spec, source, count):
    files = checkpoint_files(source)
    return {
        "architecture": "inception_i3d",
        "stream": spec.stream,
        "classes": spec.classes,
        "labels": spec.labels,
        "variables": count,
        "source": {
            "release": spec.name,
            "sha256": {file.name: sha256(file) for file in files},
            "is_published_file": all(found == spec.name for found in identify(*files)),
        },
    }
