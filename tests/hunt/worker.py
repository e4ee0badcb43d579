"""A process that runs cases one after the other, as its standard input asks for them.

Requests and results are JSON, a line each; results go to the file descriptor that is the only
argument. What libraries print goes to the log that the parent gives as stdout and stderr.
"""

import contextlib
import faulthandler
import gc
import json
import os
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[0] = str(TESTS)
sys.path.insert(0, str(TESTS.parent))

from hunt.case import Case  # noqa: E402
from hunt.kinds import find_kind  # noqa: E402


def main():
    """Answers requests until the input ends."""
    results = os.fdopen(int(sys.argv[1]), "w", buffering=1)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)  # the parent asks where a hanging case hangs
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    warnings.simplefilter("ignore")
    kinds = {}
    for line in sys.stdin:
        request = json.loads(line)
        name, material = request["kind"], Path(request["material"])
        if name not in kinds:
            kinds[name] = find_kind(name)
            if request["task"] == "run":
                kinds[name].warm_up(material)
        if request["task"] == "prepare":
            answer = _prepare(kinds[name], material)
        else:
            results.write("{}\n")  # the time of the case starts
            answer = _run(kinds[name], request)
        results.write(json.dumps(answer) + "\n")


def _prepare(kind, folder):
    try:
        folder.mkdir(parents=True)
        kind.prepare(folder)
    except Exception:
        return {"error": traceback.format_exc()}
    return {"error": None}


def _run(kind, request):
    folder = Path(request["folder"])
    folder.mkdir(parents=True)
    case = Case(kind.name, request["seed"], request["case"], folder, Path(request["material"]))
    start = time.monotonic()
    before = os.getcwd()
    error = None
    try:
        with limited_memory(kind.memory):
            kind.run(case)
    except Exception:  # the hunt's own fault: kinds turn all others into findings
        error = traceback.format_exc()
    os.chdir(before)
    gc.collect()
    if not request["keep"]:
        remove(folder)
    return {
        "findings": [[finding.column, finding.text] for finding in case.findings],
        "title": case.title,
        "seconds": time.monotonic() - start,
        "error": error,
    }


@contextlib.contextmanager
def limited_memory(extra: int):
    """Lets allocations fail that take more than so many bytes beside what is taken now."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + extra, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def remove(folder):
    """Removes a folder whose rights a case may have taken."""
    for place, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            os.chmod(place, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
