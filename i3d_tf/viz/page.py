"""Pages: one HTML file without scripts, which needs no other file and no network."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from i3d_tf.viz.markup import Markup, element, join

STYLE = "page.css"
# Tells a browser to load nothing and run nothing, whatever a class or a file may be called.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
MAX_ROWS = 20  # of a table that does not scroll
MAX_LISTED = 200  # entries of a list


def html_page(title: str, heading: str, subtitle: str, *sections: Markup | None) -> str:
    """Returns a page, in the browser's light or dark colours; printed, it is light.

    Args:
        title: Of the browser's window.
        heading: The first line.
        subtitle: A sentence below it.
        sections: See `card`; None is left out.

    Returns:
        HTML; names and paths are text in it, whatever they hold.
    """
    head = (
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(files(__package__).joinpath(STYLE).read_text("utf-8"))),
    )
    body = (
        element(
            "header",
            element("h1", heading, class_="any"),
            element("p", subtitle, class_="muted any"),
        ),
        element("main", *sections),
    )
    page = element("html", element("head", head), element("body", body), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def card(heading: str, *content: Any) -> Markup:
    """Returns a section of a page; see `element` for its content."""
    return element("section", element("h2", heading), *content)


def note(*words: Any) -> Markup:
    """Returns a paragraph that explains what stands below it."""
    return element("p", *words, class_="muted small any")


def finding(*words: Any) -> Markup:
    """Returns a paragraph that says what a picture or a table shows."""
    return element("p", *words, class_="finding any")


def colour_key(colours: Mapping[str, str], *words: Any) -> Markup:
    """Returns a legend.

    Args:
        colours: A colour of the style, such as "correct-fill", to its meaning.
        words: Anything else that a reader should know.
    """
    return element(
        "p",
        [
            element(
                "span",
                element("i", style=f"background:var(--{colour})", class_="swatch"),
                meaning,
                class_="key",
            )
            for colour, meaning in colours.items()
        ],
        element("span", *words, class_="key") if words else None,
        class_="small any",
    )


def facts_table(rows: Sequence[tuple[Any, Any]], label: str) -> Markup:
    """Returns a table of names and values.

    Args:
        rows: (name, value).
        label: What they are about, for screen readers.
    """
    cells = [
        element(
            "tr",
            element("th", name, scope="row", class_="any"),
            element("td", value, class_="any"),
        )
        for name, value in rows
    ]
    return element("table", element("tbody", cells), class_="facts small", aria_label=label)


def data_table(
    caption: Any, heads: Sequence[str], rows: Sequence[Markup], numbers: Sequence[int] = ()
) -> Markup:
    """Returns a table that scrolls where it is long.

    Args:
        caption: A line above it.
        heads: Heading of each column.
        rows: Elements `tr`.
        numbers: Columns of numbers, whose headings stand at the right.
    """
    head = [
        element("th", name, scope="col", class_="number" if k in numbers else None)
        for k, name in enumerate(heads)
    ]
    table = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", head)),
        element("tbody", rows),
    )
    return scrolling(table, "tall" if len(rows) > MAX_ROWS else "wide", caption)


def scrolling(content: Markup, kind: str, label: str) -> Markup:
    """Returns a box that scrolls, also with the keyboard.

    Args:
        content: What may be too large.
        kind: "wide", or "tall" for a limited height too.
        label: What it is, for screen readers.
    """
    return element("div", content, class_=kind, tabindex=0, role="region", aria_label=label)


def share_cell(share: float | None, words: str, kind: str | None = None) -> Markup:
    """Returns a cell with a share in [0, 1] and a bar as long.

    Args:
        share: The share; None draws no bar.
        words: The share as text.
        kind: "headline" or "wrong" for a coloured bar.
    """
    if share is None:
        return element("td", words, class_="share")
    bar = element("span", element("i", style=f"width:{100 * share:.1f}%"), class_="bar")
    content = element("div", element("span", words), bar)
    return element("td", content, class_=join(filter(None, ("share", kind)), " "))


def entries_on_demand(heading: str, entries: Sequence[str], source: str) -> Markup:
    """Returns a list that is shown on demand.

    Args:
        heading: What the entries are; their number is added.
        entries: Texts; at most `MAX_LISTED` are shown.
        source: The file that has all of them.
    """
    shown = list(entries[:MAX_LISTED])
    if len(entries) > MAX_LISTED:
        shown.append(f"… and {len(entries) - MAX_LISTED:,} more, in {source}")
    return element(
        "details",
        element("summary", f"{heading} ({len(entries):,})"),
        element("ul", [element("li", entry) for entry in shown], class_="small any"),
    )
