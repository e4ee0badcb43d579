"""Changed files of public ports: an error, the same values, or others of the same names."""

from collections import Counter

import h5py  # noqa: F401 - imported before the watch begins
import numpy as np
import pytest

from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.ports import read_port

# Archives have checksums: whatever is read of them is what was written.
CHECKED = {"state dict", "TorchScript"}
WRITERS = {
    "state dict": lambda files, path: files.state_dict(path),
    "TorchScript": lambda files, path: files.torchscript(path),
    "old state dict": lambda files, path: files.old_state_dict(path),
    "Keras 2": lambda files, path: files.keras2(path),
}


def outcome(path, expected):
    """How reading a file ends: "error", "same values" or "other values"."""
    found, message = None, f"{path}: "
    try:
        found = read_port(path).arrays
    except WeightsError as error:
        message = str(error)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    if found is None:
        return "error"
    shapes = {path: values.shape for path, values in found.items()}
    assert shapes == {path: values.shape for path, values in expected.items()}
    assert all(np.isfinite(values).all() for values in found.values())
    same = all(np.array_equal(found[path], values) for path, values in expected.items())
    return "same values" if same else "other values"


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize(("count", "seed"), [(12, 0), pytest.param(250, 1, marks=pytest.mark.slow)])
def test_changed_files_are_never_another_network(
    port_files, mutations, watch_events, tmp_path, form, count, seed
):
    path = WRITERS[form](port_files, tmp_path / "file")
    expected = read_port(path).arrays
    outcomes = Counter()
    with watch_events() as events:
        for content in mutations(path.read_bytes(), count, seed):
            path.write_bytes(content)
            outcomes[outcome(path, expected)] += 1
    assert events == []
    assert outcomes.total() == count
    assert outcomes["error"] > 0
    if form in CHECKED:
        assert outcomes["other values"] == 0


def test_the_watch_sees_what_is_run(watch_events):
    with watch_events() as events:
        eval(compile("1", "file", "eval"))
    assert {event for event, _ in events} >= {"compile", "exec"}
