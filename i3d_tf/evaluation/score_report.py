"""The folder of a score: `score.json`, and `report.html`, the same as one page."""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from i3d_tf.evaluation.score import Score
from i3d_tf.evaluation.score_page import HEADING, score_page
from i3d_tf.system.files import atomic_write, check_target

SCORE_FILE, PAGE = "score.json", "report.html"


def check_score_dir(folder: os.PathLike | str) -> None:
    """Checks that a score in a folder would replace nothing but an earlier score.

    Raises:
        FileExistsError: A file of another kind has the name of one of the score's.
    """
    check_target(Path(folder) / SCORE_FILE, lambda path: b'"rule"' in path.read_bytes())
    check_target(
        Path(folder) / PAGE, lambda path: f'<h1 class="any">{HEADING}'.encode() in path.read_bytes()
    )


def write_score(
    score: Score, folder: os.PathLike | str, more: Mapping[str, Any] | None = None
) -> None:
    """Writes the files of a score, both or none; the folder is made where it does not exist.

    Args:
        score: The score.
        folder: The folder.
        more: Further entries of `score.json`.

    Raises:
        OSError: The folder cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    record = {**score.as_json(), **(more or {})}
    with contextlib.ExitStack() as files:
        # Replaced from the last to the first: where the numbers are new, so is the page.
        numbers, page = (
            files.enter_context(atomic_write(folder / name)) for name in (SCORE_FILE, PAGE)
        )
        numbers.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
        page.write_text(score_page(score, SCORE_FILE), "utf-8")
