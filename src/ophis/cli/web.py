"""Command that writes the page for a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ophis.cli.options import Json, Named, as_typed
from ophis.cli.outcome import finish
from ophis.files.overlap import refuse_overlap


def web(
    bundle: Named,
    /,
    out: Path,
    *,
    single_file: Annotated[bool, Parameter(negative="")] = False,
    expect: str | None = None,
    runtime: Path | None = None,
    json: Json = False,
) -> int:
    """Write a page that identifies snakes in the browser, without a server and without a network.

    Args:
        bundle: A bundle folder, `imagenet17`, or hf://owner/name of the Hugging Face Hub.
        out: The folder of the page; with --single-file the HTML file.
        single_file: Write one HTML file, which works when it is opened from disk.
        expect: Refuse a bundle of another version: all 64 digits, as `ophis doctor` prints them.
        runtime: The archive of onnxruntime-web as `npm pack` writes it; by default it is found or
            fetched.
        json: One JSON object: the page and its files with their sizes.
    """
    from ophis.cli.terminal.tables import print_web
    from ophis.inference.bundles.registry import bundle_folder
    from ophis.web.export import export_web

    one, folders = ([out], ()) if single_file else ((), [out])
    refuse_overlap((as_typed(bundle), runtime), files=one, folders=folders)
    folder = bundle_folder(as_typed(bundle))
    files = export_web(folder, out, single_file=single_file, expect=expect, runtime=runtime)
    if not json:
        print_web(files)
    sizes = [{"path": f.path, "bytes": f.size, "gzip": f.packed} for f in files]
    return finish(out, {"page": out, "files": sizes}, json=json)
