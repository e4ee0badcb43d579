"""The released network, which is downloaded once."""

from pathlib import Path

import pytest

from i3d_tf.system.cache import HOME_VARIABLE, OFFLINE_VARIABLE
from i3d_tf.zoo.resolve import resolve

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def weights():
    """The weights of the release, kept in the build folder; or a skip."""
    home = REPOSITORY_ROOT / "build/release"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(home))
        patch.delenv(OFFLINE_VARIABLE)
        try:
            yield resolve("rgb_scratch")
        except FileNotFoundError as error:
            pytest.skip(f"the release can be had from nowhere: {error}")
