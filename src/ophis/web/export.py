"""Export of the page with a bundle: a folder for any web server, or one HTML file.

The model runs in the browser and no photo is sent. The folder works offline after its first visit.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ophis.errors import InputError
from ophis.files.atomic import whole_file
from ophis.inference.bundles.bundle import read_bundle
from ophis.web.facts import as_json, facts_of, records_of
from ophis.web.page import SETTINGS, Mode, Settings, page_files
from ophis.web.runtime import MODULE, WASM, licences, runtime_files
from ophis.web.single_file import single_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ophis.inference.bundles.bundle import Bundle

FACTS, MODEL, PRIOR = "model/facts.json", "model/model.onnx", "model/prior.bin"
RECORDS = "model/records.bin"
SERVICE_WORKER = "service_worker.js"
_PAGE_LINE = re.compile(r"(?m)^const PAGE = .*;$")


@dataclass(frozen=True)
class WebFile:
    """Exported file.

    Attributes:
        path: path in the folder, or of the HTML file.
        size: size in bytes.
        packed: size in bytes after gzip.
    """

    path: str
    size: int
    packed: int


def export_web(
    bundle: str | Path,
    out: str | Path,
    *,
    single_file: bool = False,
    expect: str | None = None,
    runtime: str | Path | None = None,
) -> tuple[WebFile, ...]:
    """Write the page of a bundle atomically; an earlier export is replaced.

    Args:
        bundle: a bundle folder. The browser runs every network of an ensemble.
        out: the folder to write, or with ``single_file`` the HTML file.
        single_file: write one HTML file that works from disk.
        expect: version that the bundle has to have, see `read_bundle`.
        runtime: onnxruntime-web as `npm pack` writes it; None: see
            `ophis.web.runtime.runtime_files`.

    Returns:
        The files, the largest first.

    Raises:
        InputError: when ``bundle`` is no bundle, ``out`` contains anything else or cannot be
            written, or onnxruntime-web is not found.
    """
    out = Path(out)
    (_require_file if single_file else _require_folder)(out)
    read = read_bundle(bundle, expect=expect)
    engine = runtime_files(runtime)
    page = web_files(read, engine)
    if single_file:
        return (_write_file(out, single_page(with_inline_engine(page), engine[MODULE])),)
    written = with_file_digests(page) | {
        f"runtime/{name}": text for name, text in licences().items()
    }
    _write_folder(out, written)
    sizes = [_sized(path, data) for path, data in written.items()]
    return tuple(sorted(sizes, key=lambda file: -file.size))


def web_files(bundle: Bundle, engine: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return every file of the page of a bundle, by path.

    Args:
        bundle: the bundle.
        engine: files of `ophis.web.runtime.runtime_files`.
    """
    facts, prior = facts_of(bundle)
    records = records_of(bundle)
    tables = {PRIOR: prior, RECORDS: records}
    settings = Settings(
        Mode.LOCAL,
        bundle.version,
        evaluated=bundle.rule is not None,
        species=len(bundle.species),
        records=bool(records),
    )
    models = {
        model_path(number): member.model.read_bytes()
        for number, member in enumerate(bundle.members, start=1)
    }
    page = (
        page_files(settings, bundle.species)
        | models
        | {path: data for path, data in tables.items() if data}
    )
    page |= {f"runtime/{name}": engine[name] for name in (WASM, MODULE)}
    facts["parts"] = {
        "models": [_part(path, data) for path, data in models.items()],
        "wasm": _part(f"runtime/{WASM}", engine[WASM]),
        **({"prior": _part(PRIOR, prior)} if prior else {}),
        **({"records": _part(RECORDS, records)} if records else {}),
    }
    page[FACTS] = as_json(facts | {"runtime": f"./runtime/{MODULE}"})
    return page


def model_path(number: int) -> str:
    """Return the path of a network of the bundle, counted from 1."""
    return MODEL if number == 1 else MODEL.replace(".", f"-{number}.")


def _part(path: str, data: bytes) -> dict[str, Any]:
    return {"path": path, "bytes": len(data), "sha256": _sha256(data)}


def with_inline_engine(page: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of a page whose worker contains the engine's module."""
    facts = json.loads(page[FACTS])
    return {**page, FACTS: as_json(facts | {"runtime": None})}


def with_file_digests(page: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of an exported folder, with the digests in its service worker."""
    digests = {path: _sha256(data) for path, data in sorted(page.items()) if path != SERVICE_WORKER}
    listed = {"version": _sha256(as_json(digests))[:12], "files": digests}
    line = f"const PAGE = {as_json(listed).decode()};"
    script, found = _PAGE_LINE.subn(lambda _: line, page[SERVICE_WORKER].decode())
    if found != 1:
        raise ValueError(f"{SERVICE_WORKER} has {found} lines `const PAGE = ...`, not one")
    return {**page, SERVICE_WORKER: script.encode()}


def _write_file(out: Path, page: bytes) -> WebFile:
    with whole_file(out) as temporary:
        temporary.write_bytes(page)
    return _sized(str(out), page)


def _write_folder(out: Path, page: Mapping[str, bytes]) -> None:
    """Write to a temporary folder, then rename it."""
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        for path, data in page.items():
            (beside / path).parent.mkdir(parents=True, exist_ok=True)
            (beside / path).write_bytes(data)
        if out.exists():
            shutil.rmtree(out)
        beside.rename(out)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{out}: cannot be written: {reason}; write elsewhere") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _require_folder(out: Path) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / SETTINGS).is_file() or not (out / FACTS).is_file():
        raise InputError(f"{out} contains other files than a page of ophis; choose another path")


def _require_file(out: Path) -> None:
    if out.suffix != ".html":
        raise InputError(f"{out}: the name of a single file must end in .html")
    if out.is_dir() or (out.exists() and b'id="file:model/facts.json"' not in out.read_bytes()):
        raise InputError(f"{out} is no page of ophis; choose another path")


def _sized(path: str, data: bytes) -> WebFile:
    return WebFile(path, len(data), len(gzip.compress(data, 6)))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
