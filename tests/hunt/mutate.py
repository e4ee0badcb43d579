"""Damage of files: at bytes, and at values of JSON."""

import copy
import json
import math

BLOCK = 4096  # bytes
WORDS = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x01000000)
EXTREMES = (0, -1, 1, 2**31, 2**63, 10**400, -(10**30), 1e308, 0.5, 1e-320)
NUMBERS = (*EXTREMES, math.nan, math.inf, -math.inf)
TEXTS = ("", "x", "1", "\x00", "a/../../b", "-", "\u202e\u0007", "\ud800", "y" * 10_000, "../..")
OTHERS = (None, True, False, [], {}, [[]], [{}], {"": None}, [1, 2], ["a"] * 12, [{}] * 12)
DEPTH = 100_000  # of nested lists: more than any recursion takes

METHODS = ("flip", "flips", "byte", "zero", "random", "cut", "double", "swap", "delete", "insert")


def damage(content: bytes, case, start=0, stop=None, methods=METHODS, block=BLOCK):
    """Damages a file at a place.

    Args:
        content: Its bytes.
        case: The case, whose generator chooses.
        start: First byte of the place.
        stop: Byte after the place; None for the end of the file.
        methods: Some of `METHODS`.
        block: Bytes of a block.

    Returns:
        (bytes, what was done in words, [(first byte, byte after), ...] of what has other values).
    """
    stop = len(content) if stop is None else min(stop, len(content))
    start = min(start, max(0, stop - 1))
    at = int(case.rng.integers(start, max(start + 1, stop)))
    method = case.pick(methods)
    changed = bytearray(content)
    end = min(at + block, len(content))
    touched = [(at, at + 1)]
    if method in ("flip", "flips"):
        for _ in range(1 if method == "flip" else 8):
            place = int(case.rng.integers(start, max(start + 1, stop)))
            changed[place] ^= 1 << int(case.rng.integers(8))
            touched.append((place, place + 1))
    elif method == "byte":
        changed[at] = int(case.rng.integers(256))
    elif method == "zero":
        changed[at:end] = bytes(end - at)
        touched = [(at, end)]
    elif method == "random":
        end = min(end, at + 20)
        changed[at:end] = case.rng.bytes(end - at)
        touched = [(at, end)]
    elif method == "cut":
        del changed[at:]
    elif method == "double":
        changed[at:at] = content[at:end]
    elif method == "swap":
        length = end - at
        other = int(case.rng.integers(start, max(start + 1, stop - length)))
        first, second = content[at:end], content[other : other + length]
        changed[at : at + len(second)] = second
        changed[other : other + len(first)] = first
        touched = [(at, end), (other, other + length)]
    elif method == "delete":
        del changed[at : at + int(case.rng.integers(1, 64))]
    else:
        changed[at:at] = case.rng.bytes(int(case.rng.integers(1, 64)))
    return bytes(changed), f"{method} at {at} of {len(content)}", touched


def damage_json(text: str, case) -> tuple[str, str]:
    """Damages JSON at one or several values; the result is mostly still JSON.

    Returns:
        (text, what was done in words).
    """
    if case.chance(0.05):
        return case.pick(_WHOLES), "another file"
    value = json.loads(text)
    done = []
    for _ in range(case.pick([1, 1, 1, 2, 5])):
        value, what = _damage_value(value, case)
        done.append(what)
    text = json.dumps(value)
    if "DEEP" in text:
        text = text.replace('"DEEP"', "[" * DEPTH + "]" * DEPTH, 1)
    return text, ", ".join(done)


_WHOLES = ("", "{", "[]", "{}", "null", "5", '"text"', "[" * DEPTH, '{"a":' * DEPTH, "\x00", "NaN")


def _damage_value(value, case):
    value = copy.deepcopy(value)
    places = list(_places(value))
    if not places:
        return case.pick(OTHERS), "whole value replaced"
    holder, key, name = places[int(case.rng.integers(len(places)))]
    method = case.pick(["delete", "rename", "other", "number", "text", "deep", "double", "nest"])
    if method == "delete":
        del holder[key]
    elif method == "rename" and isinstance(holder, dict):
        holder[f"{key}_"] = holder.pop(key)
    elif method == "number":
        holder[key] = case.pick(NUMBERS)
    elif method == "text":
        holder[key] = case.pick(TEXTS)
    elif method == "deep":
        holder[key] = "DEEP"
    elif method == "double" and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif method == "nest":
        holder[key] = [holder[key]] if case.chance(0.5) else {"value": holder[key]}
    else:
        holder[key] = case.pick(OTHERS)
    return value, f"{method} of {name[:60]}"


def _places(value, name=""):
    """Yields (holder, key, path) of every value within a value; of long lists only some."""
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = [(index, value[index]) for index in range(min(len(value), 4))]
    else:
        return
    for key, inner in items:
        yield value, key, f"{name}/{key}"
        yield from _places(inner, f"{name}/{key}")
