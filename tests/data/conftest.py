"""What holds in every test of datasets."""

import pytest


@pytest.fixture(autouse=True)
def reports_add_up(adds_up):
    """Every report made in these tests accounts for every row exactly once."""
