import dataclasses
import hashlib

import numpy as np
import pytest

from i3d_tf.specs.releases import RELEASES
from i3d_tf.weights.released_data import matching_release, release_data_blob

# Our paths; the released names are sorted otherwise: Conv3d_0a_3x3 comes before Conv3d_0b_1x1.
ARRAYS = {
    "Mixed_5b/Branch_2/Conv3d_0b_1x1/conv_3d/kernel": np.array([[2.0, 3.0]], np.float32),
    "Mixed_5b/Branch_2/Conv3d_0b_3x3/conv_3d/kernel": np.array([1.0], np.float32),
    "Conv3d_1a_7x7/batch_norm/beta": np.array([0.0], np.float32),
}
CONTENT = np.arange(4, dtype="<f4").tobytes()
BLOB = hashlib.sha1(b"blob 16\0" + CONTENT).hexdigest()


@pytest.fixture
def published(monkeypatch):
    """The data files of both rgb releases of 400 classes have 16 bytes; one is CONTENT."""
    for name, blob in (("rgb_imagenet", "0" * 40), ("rgb_scratch", BLOB)):
        data = dataclasses.replace(RELEASES[name].data, size=16, blob=blob)
        monkeypatch.setitem(RELEASES, name, dataclasses.replace(RELEASES[name], data=data))


def test_release_data_blob_is_that_of_the_sorted_arrays():
    assert release_data_blob(ARRAYS, RELEASES["rgb_scratch"]) == BLOB
    doubles = {path: array.astype(np.float64) for path, array in ARRAYS.items()}
    assert release_data_blob(doubles, RELEASES["rgb_scratch"]) == BLOB


def test_matching_release_is_bit_exact(published):
    assert matching_release(ARRAYS) == "rgb_scratch"
    last = ARRAYS["Mixed_5b/Branch_2/Conv3d_0b_1x1/conv_3d/kernel"]
    changed = {"Mixed_5b/Branch_2/Conv3d_0b_1x1/conv_3d/kernel": np.nextafter(last, 9)}
    assert matching_release(ARRAYS | changed) is None
    assert matching_release({}) is None
    assert matching_release(dict(list(ARRAYS.items())[:2])) is None
