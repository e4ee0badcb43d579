"""Readers of the records in the folder of a training run: run.json and history.jsonl."""

import json
import os
from typing import Any

from i3d_tf.specs.validation import is_integer, is_number
from i3d_tf.system.records import (
    get_list,
    get_value,
    of_kind,
    read_json_object,
    read_text,
    record_errors,
)

RUN_FILE = "run.json"
HISTORY_FILE = "history.jsonl"
SPLITS = ("train", "test")  # in "split": the videos of each, where the run chose them

RESTORE = "Restore the file that train.py wrote, or name another folder."


def read_run(path: os.PathLike | str) -> dict[str, Any]:
    """Reads run.json: its "settings", and maybe class names, heads and settings of earlier parts.

    Raises:
        ValueError: It is something else.
        OSError: It does not exist, or cannot be read.
    """
    with record_errors(path, "the settings of a training run", RESTORE):
        run = read_json_object(path)
        get_value(run, "settings", dict)
        if "class_names" in run:
            get_list(run, "class_names", str)
        if "earlier" in run:
            get_list(run, "earlier", dict)
        _check_split(run)
        if "heads" in run:
            for head in get_value(run, "heads", dict):
                fields = get_value(run["heads"], head, dict)
                get_list(fields, "class_names", str)
                _check_split(fields)
        step = run.get("epoch_start_step", 0)
        if not is_integer(step) or step < 0:
            raise ValueError(f"'epoch_start_step' is {step!r}")
        return run


def _check_split(record):
    if "split" in record:
        for split in SPLITS:
            get_list(get_value(record, "split", dict), split, str)


def read_history(path: os.PathLike | str) -> list[dict[str, Any]]:
    """Reads history.jsonl, an evaluation a line; there are none without the file.

    Raises:
        ValueError: A line is something else.
        OSError: It is not a regular file, or cannot be read.
    """
    if not os.path.lexists(path):
        return []
    with record_errors(path, "the evaluations of a training run", RESTORE):
        lines = read_text(path).splitlines()
        return [_evaluation(number, line) for number, line in enumerate(lines, start=1)]


def _evaluation(number, line):
    row = of_kind(json.loads(line), f"line {number}", dict)
    if not is_number(row.get("step")):
        raise ValueError(f"line {number} has no step")
    return row
