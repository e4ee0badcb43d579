"""Elements of HTML and SVG as text, in which all other text is escaped."""

import html
import re
from collections.abc import Iterable
from typing import Any

VOID = {"br", "col", "img", "meta"}  # HTML elements that have no end tag
# Characters that no document may hold: control characters, and the surrogates that Python puts into
# a file name that is not text.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Markup(str):
    """Text that is markup already and is not escaped again."""

    __slots__ = ()


def escape(value: Any) -> Markup:
    """Returns a value as text that stays text, in an element or in a quoted attribute."""
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(_FORBIDDEN.sub("\ufffd", str(value))))


def join(parts: Iterable, separator: str = "") -> Markup:
    """Joins pieces; those that are not Markup are escaped."""
    return Markup(separator.join(escape(part) for part in parts))


def element(name: str, /, *children: Any, **attributes: Any) -> Markup:
    """Returns one element.

    Args:
        name: Its tag.
        children: Its content. Markup is kept, None left out, a list, tuple or generator replaced by
            its items, and anything else escaped as text.
        attributes: Name to value; `class_` and the like lose their last underscore, other
            underscores become hyphens; None leaves an attribute out; True gives it no value.
    """
    start = join((name, *(_attribute(*pair) for pair in attributes.items())))
    if name in VOID:
        return Markup(f"<{start}>")
    return Markup(f"<{start}>{_content(children)}</{name}>")


def _attribute(name, value):
    if value is None or value is False:
        return Markup("")
    name = name.rstrip("_").replace("_", "-")
    return Markup(f" {name}" if value is True else f' {name}="{escape(value)}"')


def _content(children):
    return join(
        _content(child)
        if isinstance(child, Iterable) and not isinstance(child, str)
        else escape(child)
        for child in children
        if child is not None
    )
