"""What a notebook shows of an answer and of figures: HTML without script, and Markdown.

Colours hold on light and on dark pages: text takes the page's own, and what must be seen has a
background of its own. No green: no answer is to look like an all-clear.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ophis.decision.verdict import Verdict
from ophis.files.markup import HTML_CELL, escape_markdown
from ophis.locales import read_sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ophis.inference.answer import Answer, Guess
    from ophis.locales import Sentences

_BOX = "padding:.4em .7em;border-radius:.3em;color:#fff;font-weight:bold;background:"
_BACKGROUND = {Verdict.MAY_BE_VENOMOUS: "#a40e26", Verdict.NOT_KNOWN_DANGEROUS: "#505a66"}
_CAUTION = "border-left:.3em solid #b35900;padding-left:.6em;font-weight:bold"
_TRACK = "display:inline-block;width:10em;height:.8em;border:1px solid currentColor;opacity:.85"
_FILLED = "display:block;height:100%;background:#3b82c4;width:"


def answer_html(answer: Answer) -> str:
    """An answer: the danger first, what it is, the names with bars, the rest of its lines."""
    caution, verdict, state, more, emergency = _lines(answer)
    words = read_sentences(answer.language)
    more = [*more, words.text("bundle", "version", version=answer.bundle)]
    parts = [
        f'<p style="opacity:.8">{escape(", ".join(_photos(answer)))}</p>',
        f'<p style="{_CAUTION}">{escape(caution)}</p>' if caution else "",
        f'<p style="{_BOX}{_BACKGROUND[answer.verdict]}">{escape(verdict)}</p>',
        f"<p>{escape(state)}</p>",
        *(
            _list_html(h, guesses, words, bars=answer.judged)
            for h, guesses in _lists(answer, words)
        ),
        *(f'<p style="opacity:.8">{escape(line)}</p>' for line in more),
        f"<p><strong>{escape(emergency)}</strong></p>",
    ]
    return f'<div lang="{escape(answer.language)}">{"".join(parts)}</div>'


def answer_markdown(answer: Answer) -> str:
    """The same where no HTML is shown."""
    caution, verdict, state, more, emergency = _lines(answer)
    words = read_sentences(answer.language)
    parts = [f"**{escape_markdown(line)}**" for line in (caution, verdict) if line]
    parts.append(escape_markdown(state))
    for heading, guesses in _lists(answer, words):
        cells = (
            (
                f"*{escape_markdown(g.species)}*",
                f"{g.probability:.1%}",
                escape_markdown(words.text("danger", g.danger)),
            )
            for g in guesses
        )
        rows = [f"| {' | '.join(row)} |" for row in cells]
        parts.append(escape_markdown(heading))
        if rows:
            parts.append("\n".join(["| | | |", "|---|---:|---|", *rows]))
    parts += [escape_markdown(line) for line in more]
    return "\n\n".join([*parts, f"**{escape_markdown(emergency)}**"])


def _lines(answer: Answer) -> tuple[str, str, str, list[str], str]:
    """Caution (of a bundle never judged), danger, state, the rest, and what always holds."""
    lines = list(answer.lines)
    caution = "" if answer.judged else lines.pop(0)
    verdict, state, *more, emergency = lines
    return caution, verdict, state, more, emergency


def _photos(answer: Answer) -> list[str]:
    return [p.name for p in answer.photos] or [f.photo_id for f in answer.failures]


def _lists(answer: Answer, words: Sentences) -> list[tuple[str, list[Guess]]]:
    """The names under their headings; of a bundle never judged all are guesses."""
    if not answer.judged:
        return [(words.text("list", "guesses"), list(answer))] if answer.guesses else []
    left = [guess for guess in answer if guess.species in answer.possible]
    others = [guess for guess in answer if guess.species not in answer.possible]
    lists = [(words.text("list", "possible"), left)] if left else []
    if further := len(answer.possible) - len(left):
        lists.append((words.text("list", "further", number=f"{further:,}"), []))
    return [*lists, (words.text("list", "others"), others)] if others else lists


def _list_html(heading: str, guesses: Sequence[Guess], words: Sentences, *, bars: bool) -> str:
    rows = "".join(_row_html(guess, words, bar=bars) for guess in guesses)
    table = f"<table><tbody>{rows}</tbody></table>" if rows else ""
    return f"<p>{escape(heading)}</p>{table}"


def _row_html(guess: Guess, words: Sentences, *, bar: bool) -> str:
    share = f"{guess.probability:.1%}"
    filled = f'<span style="{_FILLED}{share}"></span>'
    track = f'<span style="{_TRACK}" aria-hidden="true">{filled}</span>'
    cells = [
        f"<em>{escape(guess.species)}</em>",
        share,
        *([track] if bar else []),
        escape(words.text("danger", guess.danger)),
    ]
    return "<tr>" + "".join(f'<td style="{HTML_CELL}">{cell}</td>' for cell in cells) + "</tr>"
