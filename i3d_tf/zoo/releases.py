"""Releases: downloaded, verified, converted and kept in the user's cache."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from i3d_tf.models.inception import inception_i3d
from i3d_tf.specs.releases import RELEASES, UPSTREAM_URL, Release, UpstreamFile
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.specs.validation import check_choice
from i3d_tf.system.cache import HOME_VARIABLE, cache_dir
from i3d_tf.system.console import progress_bar
from i3d_tf.system.files import folder_lock, sha256
from i3d_tf.weights.assign import WeightsError, assign_weights
from i3d_tf.weights.download import download
from i3d_tf.weights.sonnet import read_sonnet
from i3d_tf.weights.store import find_weights, save_weights, user_checkpoint_dir

UPSTREAM_DIR = "upstream"


def fetch_release(release: str, base_url: str = UPSTREAM_URL) -> tuple[Path, dict]:
    """Puts a release into the user's cache, from the first source that has it.

    Of processes that want the same release, one downloads it and the others wait. What a killed
    download has fetched is kept, and continued by the next.

    Args:
        release: One of `i3d_tf.specs.releases.RELEASES`.
        base_url: URL of the upstream repository.

    Returns:
        (the weights, their row of the manifest), see `i3d_tf.weights.store.find_weights`.

    Raises:
        FileNotFoundError: No source can be reached, or none has the released files.
        OSError: The cache cannot be written, or is full.
    """
    spec = _find_release(release)
    folder = cache_dir() / UPSTREAM_DIR / release
    sources = {"upstream": lambda: _from_upstream(spec, folder, base_url)}
    with _locked(folder):
        found = find_weights(release, user_checkpoint_dir())  # by another process, perhaps
        reasons = []
        for fetch_source in sources.values():
            if found:
                break
            try:
                fetch_source()
            except WeightsError as error:
                reasons.append(str(error))
            else:
                shutil.rmtree(folder, ignore_errors=True)
                found = find_weights(release, user_checkpoint_dir())
    if not found:
        raise FileNotFoundError(_unreachable(spec, reasons))
    return found


def convert(
    release: str, source: os.PathLike | str, output_dir: os.PathLike | str | None = None
) -> Path:
    """Converts a released checkpoint; writes weights only if every variable fits.

    Args:
        release: One of `i3d_tf.specs.releases.RELEASES`.
        source: The folder with `model.ckpt.*`, or the files' common prefix.
        output_dir: Folder of `<release>.weights.h5` and `manifest.json`; None is `checkpoints` in
            the user's cache.

    Returns:
        The path of the weights.

    Raises:
        WeightsError: The source is another release, or is incomplete or corrupt.
    """
    spec = _find_release(release)
    weights = read_sonnet(source, spec)
    hashes = {file.name: sha256(file) for file in weights.files}
    origin = {"sha256": hashes, "is_published_file": weights.is_published}
    return save_release(spec, weights.arrays, origin, output_dir)


def save_release(
    spec: Release, arrays: dict, origin: dict, output_dir: os.PathLike | str | None = None
) -> Path:
    """Writes the weights of a release and their row of the manifest.

    Args:
        spec: The release.
        arrays: Our `variable.path` to values, all of them.
        origin: What the row says of their source, beside the release.
        output_dir: See `convert`.

    Returns:
        The path of the weights.

    Raises:
        WeightsError: The arrays do not fit.
    """
    model = inception_i3d(
        input_shape=(None, None, None, CHANNELS[spec.stream]), classes=spec.classes, name=spec.name
    )
    row = {
        "architecture": "inception_i3d",
        "stream": spec.stream,
        "classes": spec.classes,
        "labels": spec.labels,
        "variables": assign_weights(model, arrays),
        "source": {"release": spec.name, **origin},
    }
    return save_weights(model, spec.name, output_dir, row)


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
    with _progress(Path(file.path).name, file.size) as progress:
        return download(file, directory, base_url, progress)


@contextmanager
def _progress(title: str, size: int | None) -> Iterator[Callable[[int, int | None], None]]:
    """Shows a progress bar on stderr, and gives the function that updates it."""
    with progress_bar("bytes") as bar:
        task = bar.add_task(title, total=size)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def _locked(folder):
    """Makes a folder of the cache, and waits until no other process works there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"{cache_dir()}: the cache cannot be written ({error.strerror}). Set {HOME_VARIABLE} "
            "to a folder that can be."
        ) from error
    with folder_lock(folder):
        yield


def _from_upstream(spec, folder, base_url):
    convert(spec.name, download_release(spec.name, folder, base_url))


def _unreachable(spec, reasons):
    return (
        f"{spec.name}: not on this machine, and it cannot be downloaded: {' '.join(reasons)} "
        "Connect to the network and try again, or fetch the files elsewhere and run python "
        f"tools/convert.py --release={spec.name} --source=FOLDER."
    )


def _find_release(release) -> Release:
    return RELEASES[check_choice("release", release, RELEASES)]
