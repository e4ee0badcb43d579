"""Identification of arrays as a release, by the data file that they are the content of."""

import hashlib
from collections.abc import Mapping

import numpy as np

from i3d_tf.specs.releases import RELEASES, Release, released_name


def release_data_blob(arrays: Mapping[str, np.ndarray], release: Release) -> str:
    """Computes the git blob id of a release's data file, rebuilt from arrays.

    The file holds the arrays in the order of their released names, as little-endian float32.

    Args:
        arrays: Our `variable.path` to values.
        release: The release whose names decide the order.
    """
    names = sorted(arrays, key=lambda path: release.prefix + released_name(path))
    size = 4 * sum(arrays[name].size for name in names)
    digest = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    for name in names:
        digest.update(np.ascontiguousarray(arrays[name], "<f4").data)
    return digest.hexdigest()


def matching_release(arrays: Mapping[str, np.ndarray]) -> str | None:
    """Returns the release that arrays are, bit for bit; None for other weights.

    One release is never found: its data file holds training state, too.

    Args:
        arrays: See `release_data_blob`.
    """
    size = 4 * sum(array.size for array in arrays.values())
    candidates = [release for release in RELEASES.values() if release.data.size == size]
    for prefix in {release.prefix for release in candidates}:
        same_prefix = [release for release in candidates if release.prefix == prefix]
        found = release_data_blob(arrays, same_prefix[0])
        for release in same_prefix:
            if release.data.blob == found:
                return release.name
    return None
