"""What every benchmark leaves: its numbers, and the machine and libraries that they are of."""

import json
import platform
from importlib.metadata import version
from pathlib import Path

from i3d_tf.system.files import atomic_write
from i3d_tf.system.worker_pool import processor_count


def write_record(path, libraries, **numbers):
    """Writes a JSON file, or nothing where the path is None.

    Args:
        path: Where to write, or None.
        libraries: List of distributions whose versions matter.
        **numbers: What was measured, and how, as plain values.
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
