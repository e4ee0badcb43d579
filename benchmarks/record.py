"""The output file of a benchmark: its numbers, the machine and the versions of libraries."""

import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from i3d_tf.system.files import atomic_write
from i3d_tf.system.worker_pool import processor_count


def write_record(path: Path | str | None, libraries: Sequence[str], **numbers: Any) -> None:
    """Writes a JSON file, if the path is not None.

    Args:
        path: Where to write, or None.
        libraries: Distributions whose versions are recorded.
        **numbers: Measurements and settings, as plain values.
    """
    if path is None:
        return
    record = {
        "machine": platform.machine(),
        "processors": processor_count(),
        "python": platform.python_version(),
        "versions": {library: version(library) for library in libraries},
        **numbers,
    }
    with atomic_write(Path(path)) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
