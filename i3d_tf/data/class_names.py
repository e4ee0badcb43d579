"""Class names, in the order of the labels."""

import difflib
import os
import unicodedata
from collections.abc import Iterable, Sequence

from i3d_tf.system.storage import read_lines


class ClassNames:
    """The classes of a dataset, found by their names.

    Annotations and folders spell one class differently: with underscores for spaces, or, in
    Kinetics-600, "passing american football" beside "passing American football". An exact name
    goes first; a name in another spelling is accepted where it can mean only one class. Accented
    letters are compared as letters, however they are stored.

    Args:
        names: The names in label order.

    Attributes:
        names: The same.
    """

    def __init__(self, names: Iterable[str]):
        self.names = tuple(names)
        self._exact = {_composed(name): label for label, name in enumerate(self.names)}
        self._loose: dict[str, int | None] = {}  # None: it can mean several classes
        for label, name in enumerate(self.names):
            spelling = _loosely(name)
            self._loose[spelling] = None if spelling in self._loose else label

    def __len__(self) -> int:
        return len(self.names)

    def find(self, name: str) -> int | None:
        """Returns the label of a class, or None where there is no such class."""
        label = self._exact.get(_composed(name))
        return self._loose.get(_loosely(name)) if label is None else label

    def suggest(self, name: str) -> str:
        """Returns a hint for an error: the class that was perhaps meant, or ""."""
        close = difflib.get_close_matches(name, self.names, n=1)
        return f" (did you mean {close[0]!r}?)" if close else ""

    def subset(self, wanted: Iterable[str] | None) -> "ClassNames":
        """Returns some of the classes, in the order they have here.

        Args:
            wanted: Names in any order, or None for all.

        Raises:
            ValueError: A name is not among them.
        """
        if wanted is None:
            return self
        labels = set()
        for name in wanted:
            label = self.find(name)
            if label is None:
                raise ValueError(
                    f"`classes` must name classes of this dataset; received {name!r}"
                    f"{self.suggest(name)}."
                )
            labels.add(label)
        return ClassNames(self.names[label] for label in sorted(labels))


def read_class_names(
    classes: Sequence[str] | os.PathLike | str | None,
) -> tuple[str, ...] | None:
    """Returns the class names that a user gives.

    Args:
        classes: None, a sequence of names, or the path of a text file with a name on each line.

    Returns:
        The names in the order given, or None.

    Raises:
        ValueError: There is no name, or one occurs twice.
    """
    if classes is None:
        return None
    if isinstance(classes, (str, os.PathLike)):
        source = os.fspath(classes)
        names = [line.strip() for line in read_lines(source)]
        names = [name for name in names if name]
    else:
        source, names = "`classes`", list(classes)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"{source} must hold at least one class name; received {names!r:.80}.")
    names = [_composed(name) for name in names]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{source} must name every class once; {repeated[0]!r} occurs twice.")
    return tuple(names)


def _composed(name):
    return unicodedata.normalize("NFC", name)


def _loosely(name):
    return " ".join(_composed(name).replace("_", " ").casefold().split())
