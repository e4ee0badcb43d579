"""Kinds with known faults, by which the hunt itself is tested."""

import os
import signal
import time

from hunt.case import WRONG, Case, Kind


class Sound(Kind):
    """A reader without a fault: it refuses half of the files, each in one line."""

    name = "sound"
    limit = 5.0

    def run(self, case: Case):
        """Writes a file, whose content and fate follow from the case alone."""
        path = case.folder / "file"
        path.write_bytes(case.rng.bytes(8))
        case.title = path.read_bytes().hex()

        def read():
            if path.read_bytes()[0] % 2:
                raise ValueError(f"{path}: its first byte is odd.")

        case.call(read, "read", path)


class Broken(Sound):
    """A reader with every fault that a case sees for itself."""

    name = "broken"

    def run(self, case: Case):
        """Has one fault after the other."""
        super().run(case)
        case.call(lambda: {}["missing"], "lookup")
        case.call(lambda: _raise(ValueError("two\nlines")), "lines")
        case.call(lambda: _raise(ValueError("no name")), "nameless", "some/file")
        (case.folder / ".file.01234567.part").touch()
        case.check_no_leftovers(case.folder)
        case.found(WRONG, "another number")


class Hanging(Sound):
    """A reader that waits for ever at every second case."""

    name = "hanging"
    limit = 1.0

    def run(self, case: Case):
        """Waits, or does nothing."""
        if case.number % 2:
            time.sleep(3600)


class Dying(Sound):
    """A reader whose process is killed at every second case."""

    name = "dying"

    def run(self, case: Case):
        """Dies, or does nothing."""
        if case.number % 2:
            os.kill(os.getpid(), signal.SIGSEGV)


class Greedy(Sound):
    """A reader that takes all memory there is."""

    name = "greedy"
    memory = 2**28

    def run(self, case: Case):
        """Takes too much."""
        case.call(lambda: bytearray(2**34), "allocate")


def _raise(error):
    raise error
