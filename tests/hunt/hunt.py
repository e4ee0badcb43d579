"""A hunt for faults: hostile inputs and unlucky moments of every kind, by the thousand.

python tests/hunt/hunt.py --cases=400 --minutes=5
python tests/hunt/hunt.py --cases=5000 --kinds=videos,weights --seed=7
python tests/hunt/hunt.py --kind=videos --seed=0 --case=12    # one case again; its files stay

Prints a table of kinds and faults, and for each fault the command that runs its case again. The
exit status is 1 if there is any.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
if __name__ == "__main__":  # `import hunt` means the folder, not this file
    sys.path[0] = str(TESTS)
    sys.path.insert(0, str(TESTS.parent))

from hunt.case import COLUMNS, KNOWN, print_to_stderr  # noqa: E402
from hunt.kinds import KINDS, SELF_TESTS, find_kind, share_cases  # noqa: E402
from hunt.pool import Job, Pool  # noqa: E402

COMMAND = "python tests/hunt/hunt.py"
PROGRESS_SECONDS = 30.0


def main(arguments=None) -> int:
    """Reads the command line, hunts, and prints the table; returns the exit status."""
    options = _parse(arguments)
    if __name__ == "__main__":
        for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell ignores the first
            signal.signal(number, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="hunt-", dir=options.folder))
    names = [options.kind] if options.kind else options.kinds
    keep = options.case is not None
    try:
        results = _hunt(folder, options, names, keep)
    finally:
        if keep:
            print_to_stderr(f"files: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(table(results, names)))
    faults = [line for result in results for line in fault_lines(result)]
    print(*faults, sep="\n")
    return 1 if faults else 0


def _parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--cases", type=int, default=400, help="Cases in all.")
    parser.add_argument("--seed", type=int, default=0, help="Another seed gives other cases.")
    parser.add_argument(
        "--kinds",
        type=lambda text: text.split(","),
        default=list(KINDS),
        help=f"Some of {','.join(KINDS)}.",
    )
    parser.add_argument("--minutes", type=float, help="No case starts after so many minutes.")
    parser.add_argument(
        "--processes", type=int, default=len(os.sched_getaffinity(0)), help="Cases at once."
    )
    parser.add_argument("--kind", help="With --case: the kind of the one case.")
    parser.add_argument("--case", type=int, help="Number of one case, to be run again.")
    parser.add_argument("--folder", help="Where the temporary folder is made.")
    options = parser.parse_args(arguments)
    if (options.kind is None) != (options.case is None):
        parser.error("--kind and --case belong together.")
    known = {**KINDS, **SELF_TESTS}
    if unknown := [name for name in [options.kind, *options.kinds] if name not in {None, *known}]:
        parser.error(f"no kind {', '.join(unknown)}; there are {', '.join(KINDS)}.")
    return options


def _hunt(folder, options, names, keep):
    """Runs the cases; returns their results."""
    limits = {name: find_kind(name).limit for name in names}
    start = time.monotonic()
    pool = Pool(folder, max(1, options.processes), keep)
    pool.prepare(names)
    print_to_stderr(f"material of {len(names)} kinds: {time.monotonic() - start:.0f} s")
    if options.case is not None:
        jobs = [Job(options.kind, options.seed, options.case, limits[options.kind])]
    else:
        jobs = list(plan(options.cases, options.seed, limits))
    deadline = None if options.minutes is None else start + 60 * options.minutes
    results, told = [], start
    try:
        for result in pool.run(jobs, deadline):
            results.append(result)
            for line in fault_lines(result):
                print_to_stderr(line)
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                print_to_stderr(f"{len(results)} of {len(jobs)} cases, {told - start:.0f} s")
    except KeyboardInterrupt:
        print_to_stderr("Stopped; this is what was run.")
    finally:
        pool.end()
    print_to_stderr(f"{len(results)} of {len(jobs)} cases, {time.monotonic() - start:.0f} s")
    return results


def plan(count, seed, limits):
    """Yields the cases, those of each kind spread evenly over the whole hunt.

    Args:
        count: Cases in all.
        seed: The seed.
        limits: Seconds that a case may take, by kind.
    """
    order = []
    for name, cases in share_cases(count, limits).items():
        order += [((number + 0.5) / cases, name, number) for number in range(cases)]
    for _, name, number in sorted(order):
        yield Job(name, seed, number, limits[name])


def table(results, names):
    """Returns the lines of the table: kinds, cases, and cases with each sort of fault."""
    heading = ["kind", "cases", *COLUMNS, "seconds"]
    rows = []
    for name in names:
        found = [result for result in results if result.job.kind == name]
        rows.append(_row(name, found))
    if len(names) > 1:
        rows.append(_row("all", results))
    lines = [f"| {' | '.join(heading)} |", "|" + " --- |" * len(heading)]
    return lines + [f"| {' | '.join(map(str, row))} |" for row in rows]


def _row(name, results):
    counts = Counter(column for result in results for column in {c for c, _ in result.findings})
    seconds = sum(result.seconds for result in results)
    return [name, len(results), *(counts[column] for column in COLUMNS), f"{seconds:.0f}"]


def fault_lines(result):
    """Yields a line for each fault of a case, with the command that runs it again."""
    job = result.job
    command = f"{COMMAND} --kind={job.kind} --seed={job.seed} --case={job.case}"
    for column, text in result.findings:
        if column == KNOWN:
            continue
        yield f"{column}: {command}  # {text}"
    if result.error:
        yield f"fault of the hunt itself: {command}  # {result.error.strip()}"


if __name__ == "__main__":
    sys.exit(main())
