import re
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_videos_are_read_from_many_threads(repository_root):
    command = ["benchmarks/stress.py", "--calls=300", "--every=100", "--notensorflow"]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=repository_root,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^300 calls, .* 0 hangs, 0 wrong", done.stdout, re.MULTILINE)
