"""Fixtures that every room's tests share."""

from pathlib import Path

import pytest

REPOSITORY_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_dir():
    """The folder beside the repository with reference data and real clips; skips where it is absent."""
    path = REPOSITORY_ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip(f"needs the reference data in {path}, which is not part of the project")
    return path
