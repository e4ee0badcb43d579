"""Assignment of named arrays to a model: all of them, with matching shapes, or none."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from i3d_tf.specs.validation import is_numeric, weights_problem
from i3d_tf.system.errors import UserError

if TYPE_CHECKING:
    import keras

MAX_NAMES_IN_ERRORS = 3


class WeightsError(UserError, ValueError):
    """An error in weights: they do not fit, cannot be read, or are others than they claim."""


def assign_weights(
    model: "keras.Model | keras.Layer",
    arrays: Mapping[str, np.ndarray],
    ignore_source: Iterable[str] = (),
    ignore_target: Iterable[str] = (),
) -> int:
    """Assigns named arrays to a Keras model's variables, all or nothing.

    Args:
        model: A built Keras model (or layer).
        arrays: `variable.path` to values.
        ignore_source: List of patterns (as in `fnmatch`) of arrays that may stay unused.
        ignore_target: List of patterns of variables that may keep their values.

    Returns:
        Number of assigned variables.

    Raises:
        WeightsError: A variable has no array, an array no variable, a shape differs, or values are
            not numbers, NaN or infinite, or are variances below zero; the message names the
            first of each. The model is then as it was.
        ValueError: The patterns are a string, of which every letter would be a pattern.
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
    differing = [
        f"{path}: source {tuple(arrays[path].shape)}, model {tuple(targets[path].shape)}"
        for path in sorted(wanted & offered)
        if tuple(arrays[path].shape) != tuple(targets[path].shape)
    ]
    if differing:
        problems.append(f"{len(differing)} shapes differ ({_some(differing)})")
    if others := sorted(path for path in wanted & offered if not is_numeric(arrays[path])):
        problems.append(f"{len(others)} arrays are not numbers ({_some(others)})")
    if not problems:
        problems += filter(None, (weights_problem(path, arrays[path]) for path in sorted(wanted)))
    if problems:
        raise WeightsError(f"Nothing was assigned to {model.name!r}: {'; '.join(problems)}.")
    for path in wanted:
        targets[path].assign(arrays[path])
    for layer in getattr(model, "layers", ()):
        if hasattr(layer, "finalize_state"):  # Normalization computes with copies
            layer.finalize_state()
    return len(wanted)


def read_weights(model: "keras.Model | keras.Layer") -> dict[str, np.ndarray]:
    """Returns copies of a model's weights: `variable.path` to value, as `assign_weights` takes."""
    return {path: np.asarray(variable).copy() for path, variable in _weights_by_path(model).items()}


def check_values(source: os.PathLike | str, arrays: Iterable[tuple[str, np.ndarray]]) -> None:
    """Checks that a network can compute with weights; with NaN it may give confident predictions.

    Args:
        source: The file or model that the weights are of, for messages.
        arrays: Pairs of a name, which ends like a Keras variable's path, and values.

    Raises:
        WeightsError: Values are not real, NaN or infinite, or are variances below zero.
    """
    for path, values in arrays:
        if problem := weights_problem(path, values):
            raise WeightsError(f"{source}: {problem}. Convert or train these weights again.")


def check_model(source: os.PathLike | str, model: "keras.Model") -> None:
    """Checks a model's weights with `check_values`."""
    check_values(source, ((variable.path, np.asarray(variable)) for variable in model.weights))


def _weights_by_path(model):
    """Returns the model's variables by path, without the state of random generators."""
    variables = model.weights
    repeated = [path for path, count in Counter(v.path for v in variables).items() if count > 1]
    if repeated:
        raise WeightsError(f"{model.name!r} has variables of the same path: {_some(repeated)}.")
    return {variable.path: variable for variable in variables}


def _pattern_list(name, patterns):
    if isinstance(patterns, str):
        raise ValueError(f"`{name}` must be a list of patterns; received {patterns!r}.")
    return tuple(patterns)


def _matches(path, patterns):
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _some(names):
    shown = ", ".join(names[:MAX_NAMES_IN_ERRORS])
    return shown + (", ..." if len(names) > MAX_NAMES_IN_ERRORS else "")
