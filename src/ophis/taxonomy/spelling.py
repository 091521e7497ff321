"""One spelling of texts that look the same: Unicode forms, invisible letters, look-alike letters.

Tables from web pages, PDFs and different operating systems write one name in several ways that no
reader can tell apart. Each would be another species, photo or observation.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import chain
from typing import TYPE_CHECKING

from ophis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Default-ignorable characters outside the category Cf: a joiner, fillers, variation selectors.
_IGNORED = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
MAX_SPECIES_NAME = 200  # characters; accents on one letter take the square of their number
MAX_MARKS = 2  # accents on one letter, as in Vietnamese
_LEAST_ACCENT = 200  # combining class of accents at, above and below a letter
_BLANK = "\u2800"  # an empty pattern of Braille, category So
# Without control characters, which tables refuse by row.
_SPACES = re.compile(f"[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000{_BLANK}]+")
_WORD = re.compile(r"[^\W\d_]+")
# Scripts that one word may mix with any other: "ニシキヘビ属", "Boa属".
_MIXED = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", ""})
# Letters of Cyrillic and Greek in the shape of a Latin letter.
_LOOKALIKES = frozenset("АВЕЅІЈКМНОРСТУХҮԀԚԜаеорсуухіјѕһԁԛԝѵүΑΒΕΖΗΙΚΜΝΟΡΤΥΧονϲϳ")


def plain_text(text: str) -> str:
    """Return a text in Unicode's form NFC, without invisible letters, with single spaces.

    Two texts that differ only in these look the same. The function is idempotent.

    >>> plain_text("Naja\u200b \u00a0naja\u00ad ")
    'Naja naja'
    """
    if text.isascii():
        return _SPACES.sub(" ", text).strip(" ")
    visible = "".join(filter(_is_visible, unicodedata.normalize("NFC", text)))
    # Removing a joiner may bring a letter and its accent together.
    return unicodedata.normalize("NFC", _SPACES.sub(" ", visible)).strip(" ")


def species_name(text: str, where: str = "") -> str:
    """Return the `plain_text` of a species' name, with ligatures and full-width letters replaced.

    The empty text, an unknown species, stays empty.

    Args:
        text: the name.
        where: file and row for error messages, ending with ": ".

    Raises:
        InputError: naming a letter of another script than the rest of its word, a letter with more
            than `MAX_MARKS` accents, a number, or more than `MAX_SPECIES_NAME` characters.
    """
    if len(text) > MAX_SPECIES_NAME:
        raise InputError(
            f"{where}species {text!r} is too long for a name; correct it, or the quotes"
        )
    if text.isascii():
        name = plain_text(text)
    else:
        name = plain_text("".join(map(_plain_letter, plain_text(text))))
        if error := _lookalike(name):
            raise InputError(where + error)
        if _stacked(name):
            raise InputError(
                f"{where}species {name!r} has more than {MAX_MARKS} accents on one letter, which"
                " cover other lines; type the name again"
            )
    if re.fullmatch(r"[+-]?\d+(?:[.,]\d+)*", name):
        raise InputError(
            f"{where}species {name!r} is a number; write the species' name instead, as in the list"
            " of classes"
        )
    return name


def species_names(names: Iterable[str], where: Callable[[int], str]) -> list[str]:
    """Return the `species_name` of each row of a table.

    Args:
        names: of the rows.
        where: file and row, for error messages, of a row from 0.

    Raises:
        InputError: naming the row, as `species_name`.
    """
    found: dict[str, str] = {}
    texts = list(names)
    for row, text in enumerate(texts):
        if text not in found:
            try:
                found[text] = species_name(text)
            except InputError as error:
                raise InputError(f"{where(row)}: {error}") from None
    return [found[text] for text in texts]


def _is_visible(letter: str) -> bool:
    return unicodedata.category(letter) != "Cf" and not _IGNORED.match(letter)


def _plain_letter(letter: str) -> str:
    """Return the letters of a ligature or a full-width letter; signs stay as they are."""
    return unicodedata.normalize("NFKC", letter) if letter.isalpha() else letter


def _lookalike(name: str) -> str | None:
    """Return an error that names a letter which looks like one of another script, or None."""
    words = _WORD.findall(name)
    latin = any(_script(letter) == "LATIN" for letter in chain.from_iterable(words))
    for word in words:
        scripts = {_script(letter): letter for letter in word}
        of_others = [letter for script, letter in scripts.items() if script != "LATIN"]
        mixed = len(scripts.keys() - _MIXED) > 1
        disguised = _LOOKALIKES.issuperset(word) and (latin or not word.isupper())
        if of_others and (mixed or disguised):
            letter = of_others[0]
            return (
                f"species {name!r}: the letter {letter!r} in {word!r} is U+{ord(letter):04X}"
                f" {unicodedata.name(letter, 'without a name')}, which looks like another letter;"
                " type the name again"
            )
    return None


def _stacked(name: str) -> bool:
    """Return True if accents above or below letters follow each other more than `MAX_MARKS` times.

    The signs of Indian, Arabic and Hebrew scripts have lower combining classes.
    """
    run = 0
    for letter in unicodedata.normalize("NFD", name):
        run = run + 1 if unicodedata.combining(letter) >= _LEAST_ACCENT else 0
        if run > MAX_MARKS:
            return True
    return False


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]
