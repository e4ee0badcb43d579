"""The kinds of cases, by name; a kind's module is imported where its cases run."""

import importlib

# Name: the class of the kind. The shares of a thousand cases: see `SHARES`.
KINDS = {
    "videos": "hunt.videos:Videos",
    "weights": "hunt.weights:Weights",
    "records": "hunt.records:Records",
    "names": "hunt.names:Names",
    "kills": "hunt.kills:Kills",
    "together": "hunt.kills:Together",
    "ends": "hunt.ends:Ends",
}
# Known faults, by which the hunt itself is tested.
SELF_TESTS = {
    "broken": "hunt.broken:Broken",
    "hanging": "hunt.broken:Hanging",
    "dying": "hunt.broken:Dying",
    "greedy": "hunt.broken:Greedy",
    "sound": "hunt.broken:Sound",
}
SHARES = {
    "videos": 460,
    "weights": 150,
    "records": 260,
    "names": 80,
    "kills": 20,
    "together": 6,
    "ends": 24,
}


def find_kind(name: str):
    """Returns a new object of a kind."""
    module, attribute = {**KINDS, **SELF_TESTS}[name].split(":")
    return getattr(importlib.import_module(module), attribute)()


def share_cases(count: int, names) -> dict[str, int]:
    """Returns the number of cases of each kind: at least one, and in all as many as asked for."""
    names = list(names)
    total = sum(SHARES.get(name, 100) for name in names)
    counts = {name: max(1, int(count * SHARES.get(name, 100) / total)) for name in names}
    largest = max(names, key=lambda name: counts[name])
    counts[largest] = max(1, counts[largest] + count - sum(counts.values()))
    return counts
