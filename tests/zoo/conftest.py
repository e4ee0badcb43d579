"""Fixtures of this room."""

import sys
from collections import Counter
from contextlib import contextmanager

import pytest

_listeners = []


def _on_event(event, arguments):
    if event == "open":
        for counts in _listeners:
            counts[str(arguments[0])] += 1


@pytest.fixture(scope="session")
def count_opened_files():
    """Function: () -> context with a Counter of the files that Python opens in it, by path."""
    sys.addaudithook(_on_event)  # for the rest of the process; there is no way to remove it

    @contextmanager
    def count():
        counts = Counter()
        _listeners.append(counts)
        try:
            yield counts
        finally:
            _listeners.remove(counts)

    return count


@pytest.fixture(scope="session")
def headless_dir(tmp_path_factory):
    """A checkpoint directory with `headless`: a network of tiny width without a head."""
    from i3d_tf.models.inception import inception_i3d
    from i3d_tf.weights.store import save_weights

    directory = tmp_path_factory.mktemp("headless")
    model = inception_i3d(include_top=False, width_multiplier=1 / 16, name="headless")
    save_weights(model, "headless", directory, {"width_multiplier": 1 / 16})
    return directory
