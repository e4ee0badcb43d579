"""What the tests of the binaries share."""

import os
import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def tool_command(repository_root):
    """Function: (tool, arguments) -> keywords of `subprocess` that run it from the repository."""

    def command(tool, *arguments):
        return {
            "args": [sys.executable, f"tools/{tool}.py", *map(str, arguments)],
            "cwd": repository_root,
            "env": {**os.environ, "PYTHONPATH": str(repository_root)},
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
        }

    return command


@pytest.fixture(scope="session")
def run_tool(tool_command):
    """Function: (tool, arguments) -> (exit status, lines of stdout, lines of stderr)."""

    def run(tool, *arguments):
        done = subprocess.run(**tool_command(tool, *arguments), check=False, timeout=300)
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

    return run
