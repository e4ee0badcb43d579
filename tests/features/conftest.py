"""Networks that are read once for all tests of this room."""

from functools import cache

import pytest


@pytest.fixture(scope="package")
def networks_read_once():
    """Checkpoints are opened, and their networks folded, once for each set of arguments."""
    from i3d_tf.features import extractor
    from i3d_tf.zoo import checkpoint

    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((checkpoint, "open_checkpoint"), (extractor, "fuse_for_inference")):
            patch.setattr(module, name, cache(getattr(module, name)))
        yield
