"""Scores on their way to a file: written as they come, so that a stop loses none of them."""

from __future__ import annotations

import json
import shutil
import zlib
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ophis.errors import InputError, PhotoFailure
from ophis.files.atomic import whole_file
from ophis.files.blocks import mapped
from ophis.inference.batches import texts
from ophis.scores.scores import SHA256_BYTES, Scores, read_scores

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from numpy.typing import NDArray

    from ophis.datasets.manifest import Manifest
    from ophis.taxonomy.species_list import SpeciesList

FORMAT = 2
_FACTS, _DONE = "facts.json", "done.jsonl"
_NUMBERS = (_LOGITS, _OOD_SCORE, _SHA256) = ("logits", "ood_score", "sha256")


def score_to(
    out: str | Path,
    batches: Callable[[int], Iterator[Scores]],
    *,
    manifest: Manifest,
    species: SpeciesList,
    facts: Mapping[str, str],
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Write scores to a file as they come, and go on where the same was stopped before.

    Until the last photo is done they lie in the folder `journal_of` says; then the file is written
    from there, byte for byte the same however often there was a stop, and the folder is removed.

    Args:
        out: the scores file.
        batches: from a row of the manifest on, scores of the next photos and the next.
        manifest: the photos.
        species: the columns.
        facts: what else the scores depend on, by name.
        progress: called with the number of photos done since the last call, or before this run.

    Returns:
        Scores, read back from the file.

    Raises:
        InputError: when the folder holds the beginning of scores of other photos or with other
            facts, which are not thrown away unasked; when it is in use, or cannot be written.
    """
    out, progress = Path(out), progress or (lambda _: None)
    folder = journal_of(out)
    facts = {"format": str(FORMAT), "manifest": manifest.sha256(), **facts}
    try:
        with _opened(folder, facts, len(species)) as journal:
            progress(journal.photos)
            for part in batches(journal.photos):
                journal.add(part)
                progress(len(part) + len(part.failures))
            _scores(journal, manifest, species).write(out)
        (folder / _FACTS).unlink()  # first: without it the rest is never taken up
        shutil.rmtree(folder)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{folder}: cannot be written: {reason}; write elsewhere") from None
    return read_scores(out)


def journal_of(out: str | Path) -> Path:
    """The folder in which scores lie until the last photo is done: OUT.partial."""
    out = Path(out)
    return out.with_name(f"{out.name}.partial")


@dataclass
class _Journal:
    """The files of the folder, and how far they are.

    Attributes:
        folder: where they lie.
        species: how many columns there are.
        files: open to add to, by name.
        photos: done, readable or not.
        rows: of the logits.
        types: of the numbers, by name of their file; None where the model gives none.
        failures: the unreadable photos.
    """

    folder: Path
    species: int
    files: dict[str, IO[bytes]]
    photos: int = 0
    rows: int = 0
    types: dict[str, str | None] = field(default_factory=dict)
    failures: list[PhotoFailure] = field(default_factory=list)

    def add(self, part: Scores) -> None:
        """Write the numbers, and then the line that says that they are there."""
        numbers = {_LOGITS: part.logits, _OOD_SCORE: part.ood_score, _SHA256: part.sha256}
        data = {n: b"" if values is None else values.tobytes() for n, values in numbers.items()}
        line = {
            "rows": len(part),
            "types": {n: None if v is None else v.dtype.str for n, v in numbers.items()},
            "checksum": _checksum(data),
            "failures": list(map(astuple, part.failures)),
        }
        for name, written in (*data.items(), (_DONE, json.dumps(line).encode() + b"\n")):
            self.files[name].write(written)
            self.files[name].flush()  # the system has it, also when this process is killed
        self._count(line)

    def go_on(self) -> None:
        """Take up what is whole, and cut off what a stop left half written."""
        ends = dict.fromkeys(self.files, 0)
        for text in self.files[_DONE]:
            line = _line(text)
            sizes = self._sizes(line) if line else {}
            data = {name: self.files[name].read(size) for name, size in sizes.items()}
            if not line or _checksum(data) != line["checksum"]:
                break
            self._count(line)
            for name, size in (*sizes.items(), (_DONE, len(text))):
                ends[name] += size
        for name, end in ends.items():
            self.files[name].truncate(end)
            self.files[name].seek(end)

    def _sizes(self, line: Mapping[str, Any]) -> dict[str, int]:
        """Bytes of a line's numbers, by name of their file."""
        each = {_LOGITS: self.species, _OOD_SCORE: 1, _SHA256: SHA256_BYTES}
        return {
            name: line["rows"] * each[name] * np.dtype(kind).itemsize if kind else 0
            for name, kind in line["types"].items()
        }

    def _count(self, line: Mapping[str, Any]) -> None:
        self.rows += line["rows"]
        self.photos += line["rows"] + len(line["failures"])
        self.failures += [PhotoFailure(*failure) for failure in line["failures"]]
        if line["rows"]:
            self.types = line["types"]


@contextmanager
def _opened(folder: Path, facts: Mapping[str, str], species: int) -> Generator[_Journal]:
    """The journal of these facts, begun or gone on with; its files are closed in the end."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        files: dict[str, IO[bytes]] = {}
        for name in (*_NUMBERS, _DONE):
            (folder / name).touch()
            files[name] = stack.enter_context((folder / name).open("r+b"))
        _lock(folder, files[_DONE])
        if not (folder / _FACTS).exists():  # what is here is of a file that was finished
            for file in files.values():
                file.truncate(0)
        _require_same(folder, facts)
        journal = _Journal(folder, species, files)
        journal.go_on()
        yield journal


def _require_same(folder: Path, facts: Mapping[str, str]) -> None:
    """Write down what the scores depend on, or refuse what depends on something else.

    Raises:
        InputError: naming what is different. It may be hours of work, so nobody throws it away
            but who made it.
    """
    path = folder / _FACTS
    if not path.exists():
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(facts), encoding="utf-8")
        return
    try:
        found = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: is damaged: {error}; delete {folder} to begin anew") from None
    if other := sorted(name for name, fact in facts.items() if found.get(name) != fact):
        raise InputError(
            f"{folder}: holds scores that were begun with another {other[0]}; end them with the"
            " command that began them, delete the folder to begin anew, or write elsewhere"
        )


def _lock(folder: Path, file: IO[bytes]) -> None:
    """Refuse a second process at the same time; the lock goes with this one, however it ends."""
    try:
        import fcntl  # noqa: PLC0415 - Windows has none, and there a file can be written twice
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"{folder}: another process is writing there; wait for it") from None


def _line(text: bytes) -> dict[str, Any] | None:
    """What a line says; None where it was cut short or damaged."""
    try:
        line = json.loads(text)
    except ValueError:
        return None
    whole = isinstance(line, dict) and line.keys() == {"rows", "types", "checksum", "failures"}
    return line if whole and text.endswith(b"\n") else None


def _checksum(data: Mapping[str, bytes]) -> int:
    checksum = 0
    for name in _NUMBERS:
        checksum = zlib.crc32(data[name], checksum)
    return checksum


def _scores(journal: _Journal, manifest: Manifest, species: SpeciesList) -> Scores:
    """All rows of a journal that is done; the logits stay in its file."""

    def numbers(name: str, shape: tuple[int, ...]) -> NDArray[Any] | None:
        kind = journal.types.get(name)
        return mapped(journal.folder / name, kind, shape=shape) if kind else None

    logits = numbers(_LOGITS, (journal.rows, len(species)))
    failed = [failure.photo_id for failure in journal.failures]
    rows = (~manifest.table["photo_id"].is_in(failed)).arg_true().to_numpy().astype(np.int64)
    return Scores(
        logits=np.zeros((0, len(species)), np.float32) if logits is None else logits,
        species=species,
        truth=manifest.truth(species)[rows],
        failures=tuple(journal.failures),
        ood_score=numbers(_OOD_SCORE, (journal.rows,)),
        sha256=numbers(_SHA256, (journal.rows, SHA256_BYTES)),
        **texts(manifest, rows),
    )
