"""The one way weights get into a model: all of them, with the right shapes, or none."""

from collections import Counter
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

import numpy as np

from i3d_tf.system.errors import UserError

NAMED_IN_ERRORS = 3


class WeightsError(UserError, ValueError):
    """Weights that do not fit, cannot be read, or are not what they claim to be."""


def assign_weights(
    model,
    arrays: Mapping[str, np.ndarray],
    ignore_source: Iterable[str] = (),
    ignore_target: Iterable[str] = (),
) -> int:
    """Assigns named arrays to a Keras model's variables, all or nothing.

    Args:
        model: A built Keras model (or layer).
        arrays: `variable.path` to values.
        ignore_source: List of patterns (as in `fnmatch`) of arrays that may stay unused.
        ignore_target: List of patterns of variables that may keep the value they have.

    Returns:
        How many variables were assigned.

    Raises:
        WeightsError: A variable has no array, an array no variable, a shape differs, or values are
            not numbers; the message names the first of each. The model is then as it was.
        ValueError: The patterns are a bare string, whose every letter would be a pattern.
    """
    ignore_source = _pattern_list("ignore_source", ignore_source)
    ignore_target = _pattern_list("ignore_target", ignore_target)
    targets = _weights_by_path(model)
    wanted = {path for path in targets if not _matches(path, ignore_target)}
    offered = {path for path in arrays if not _matches(path, ignore_source)}
    problems = []
    if missing := sorted(wanted - offered):
        problems.append(f"{len(missing)} variables have no source ({_some(missing)})")
    if unused := sorted(offered - wanted):
        problems.append(f"{len(unused)} arrays have no variable ({_some(unused)})")
    misfits = [
        f"{path}: source {tuple(arrays[path].shape)}, model {tuple(targets[path].shape)}"
        for path in sorted(wanted & offered)
        if tuple(arrays[path].shape) != tuple(targets[path].shape)
    ]
    if misfits:
        problems.append(f"{len(misfits)} shapes differ ({_some(misfits)})")
    if strange := sorted(path for path in wanted & offered if not _is_numeric(arrays[path])):
        problems.append(f"{len(strange)} arrays are not numbers ({_some(strange)})")
    if problems:
        raise WeightsError(f"Nothing was assigned to {model.name!r}: {'; '.join(problems)}.")
    for path in wanted:
        targets[path].assign(arrays[path])
    return len(wanted)


def read_weights(model) -> dict[str, np.ndarray]:
    """The inverse of `assign_weights`: `variable.path` to a copy of its value."""
    return {path: np.asarray(variable).copy() for path, variable in _weights_by_path(model).items()}


def _weights_by_path(model):
    """The model's weights, without the state of random generators."""
    variables = model.weights
    repeated = [path for path, count in Counter(v.path for v in variables).items() if count > 1]
    if repeated:
        raise WeightsError(f"{model.name!r} has variables of the same path: {_some(repeated)}.")
    return {variable.path: variable for variable in variables}


def _pattern_list(name, patterns):
    if isinstance(patterns, str):
        raise ValueError(f"`{name}` must be a list of patterns; received {patterns!r}.")
    return tuple(patterns)


def _is_numeric(array):
    """Whether an array holds bool, whole or real numbers, so that assigning it cannot fail."""
    return array.dtype.kind in "biuf" or array.dtype.name == "bfloat16"


def _matches(path, patterns):
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _some(names):
    shown = ", ".join(names[:NAMED_IN_ERRORS])
    return shown + (", ..." if len(names) > NAMED_IN_ERRORS else "")
