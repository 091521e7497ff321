"""Inference engine of the page: two pinned files of onnxruntime-web."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from ophis.errors import InputError
from ophis.files.atomic import whole_file
from ophis.inference.bundles.registry import cache_folder

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"  # must agree with package.json
MODULE, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
DIGESTS = {
    MODULE: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    WASM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
# The Python package onnxruntime is of the same project and has the same licence texts.
_LICENCES = {"LICENSE.txt": "LICENSE", "ThirdPartyNotices.txt": "ThirdPartyNotices.txt"}


def runtime_files(given: str | Path | None = None) -> dict[str, bytes]:
    """Return the engine's files by name, verified: cached, from a checkout, or fetched with npm.

    Args:
        given: the archive that `npm pack` writes, or a folder with its files.

    Raises:
        InputError: when they are not found, or their digests differ from the pinned ones.
    """
    if given is not None:
        return _require(_read(Path(given)), given)
    kept = _cache()
    checkout = Path(__file__).parents[3] / "node_modules" / PACKAGE / "dist"
    for folder in filter(None, (kept, checkout)):
        # A folder below one that is not readable is no cache; `is_file` would fail there.
        found = _read(folder) if os.access(folder, os.R_OK) else {}
        if found.keys() == DIGESTS.keys():
            return _require(found, folder)
    found = _fetched()
    if kept:
        with suppress(InputError):  # an unwritable cache is not an error
            for name, data in found.items():
                with whole_file(kept / name) as temporary:
                    temporary.write_bytes(data)
    return found


def _cache() -> Path | None:
    """Return the folder of files that were fetched; None without a home folder."""
    with suppress(InputError):
        return cache_folder() / f"{PACKAGE}-{VERSION}"
    return None


def licences() -> dict[str, bytes]:
    """Return the licence of the engine and the third-party notices, by file name."""
    folder = files("onnxruntime")
    return {name: folder.joinpath(own).read_bytes() for name, own in _LICENCES.items()}


def _require(found: dict[str, bytes], place: str | Path) -> dict[str, bytes]:
    for name, digest in DIGESTS.items():
        if name not in found:
            raise InputError(
                f"{place}: has no {name}; give {PACKAGE} {VERSION}, as"
                f" `npm pack {PACKAGE}@{VERSION}` writes it"
            )
        if hashlib.sha256(found[name]).hexdigest() != digest:
            raise InputError(
                f"{place}: {name} differs from {PACKAGE} {VERSION}, or is damaged; fetch it again"
            )
    return found


def _read(place: Path) -> dict[str, bytes]:
    """Read those of the engine's files that a folder or an archive contains."""
    if place.is_file():
        return _unpacked(place)
    folders = (place, place / "dist", place / "package" / "dist")
    return {
        name: (folder / name).read_bytes()
        for name in DIGESTS
        for folder in folders
        if (folder / name).is_file()
    }


def _unpacked(archive: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive) as members:
            for name in DIGESTS:
                with suppress(KeyError):
                    if file := members.extractfile(f"package/dist/{name}"):
                        found[name] = file.read()
    except (OSError, EOFError, tarfile.TarError) as error:
        raise InputError(f"{archive}: cannot be read: {error}; fetch it again") from None
    return found


def _fetched() -> dict[str, bytes]:
    """Fetch the files with npm, from its configured registry."""
    npm, wanted = shutil.which("npm"), f"{PACKAGE}@{VERSION}"
    fix = f"run `npm pack {wanted}` on a machine with npm, and give the file as runtime"
    if npm is None:
        raise InputError(f"{wanted} was not found, and npm is not installed to fetch it; {fix}")
    with tempfile.TemporaryDirectory() as folder:
        command = [
            npm,
            "pack",
            wanted,
            "--ignore-scripts",
            "--silent",
            "--pack-destination",
            folder,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        archives = sorted(Path(folder).glob("*.tgz"))
        if done.returncode or not archives:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[0]
            raise InputError(f"npm cannot fetch {wanted}: {reason}; {fix}")
        return _require(_unpacked(archives[0]), archives[0].name)
