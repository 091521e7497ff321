"""Escaped text for Markdown and HTML, for names from untrusted files."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HTML_CELL = "text-align:left;padding:.1em 1em .1em 0"  # style of a table cell
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~]|^[#+=-])")


def escape_markdown(text: str) -> str:
    """Escape all characters that Markdown interprets: emphasis, links, tags, headings, tables."""
    return _SPECIAL.sub(r"\\\1", text)


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return an HTML table of escaped texts."""
    titles = "".join(f'<th style="{HTML_CELL}">{escape(title)}</th>' for title in head)
    body = "".join(
        "<tr>" + "".join(f'<td style="{HTML_CELL}">{escape(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
