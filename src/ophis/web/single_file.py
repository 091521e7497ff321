"""Export of the page as one HTML file that works from disk.

From disk a browser loads no modules, fetches no files and starts no worker from a file. So scripts,
styles and images are inlined, other files are embedded as base64 of gzip (`inline_files.js` decodes
them), and the worker starts from embedded text. Modules are joined textually; this requires named
imports and exports at the beginning of a line.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import posixpath
import re
from typing import TYPE_CHECKING

from ophis.web.page import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

WORKER, FIRST = "worker.js", "inline_files.js"
_POLICY = (
    "default-src 'none'; script-src {scripts} 'wasm-unsafe-eval'; style-src {styles};"
    " img-src blob: data:; worker-src blob:; media-src blob:; base-uri 'none'; form-action 'none'"
)
_SCRIPT = re.compile(r'[ \t]*<script type="module" src="([^"]+)"></script>\n?')
_STYLE = re.compile(r'<link rel="stylesheet" href="([^"]+)"\s*/?>')
_MANIFEST = re.compile(r'[ \t]*<link rel="manifest"[^>]*>\n?')
_IMAGE = re.compile(r'(?<=\s)(href|src)="([^":#]+\.(?:png|svg))"')
_CHARSET = re.compile(r"<meta charset=[^>]*>")
_META = re.compile(r'[ \t]*<meta http-equiv="Content-Security-Policy"[^>]*>\n?')

_IMPORT = re.compile(r'^import\s+(?:\{([^}]*)\}|\* as (\w+))\s+from\s+"(\.[^"]+)";$', re.MULTILINE)
_BARE_IMPORT = re.compile(r'^import\s+"(\.[^"]+)";$', re.MULTILINE)
# In comments: an import of a type.
_TYPE_IMPORT = re.compile(r"(?m)^(\s*(?:/\*\*|\*|//).*?)\bimport\(")
_DYNAMIC_IMPORT = re.compile(r'\bimport\("(\.[^"]+)"\)')
_REEXPORT = re.compile(r'^export\s+\{([^}]*)\}\s+from\s+"(\.[^"]+)";$', re.MULTILINE)
_EXPORT_NAMES = re.compile(r"^export\s+\{([^}]*)\};$", re.MULTILINE)
_EXPORT = re.compile(
    r"^export\s+((?:async\s+)?(?:function\*?|class|const|let)\s+(\w+))", re.MULTILINE
)
_ENGINE_EXPORT = re.compile(r"export\{([^}]*)\};?\s*(?://# sourceMappingURL=\S*)?\s*$")


def single_page(files: Mapping[str, bytes], engine: bytes) -> bytes:
    """Join the files of a page to one HTML file.

    Args:
        files: content of the page's files by path.
        engine: onnxruntime-web's module, placed at the start of the worker.

    Raises:
        ValueError: when a module uses an import or export of another form.
    """
    html = _META.sub("", files["index.html"].decode())
    html = _MANIFEST.sub("", html)
    entries = _SCRIPT.findall(html)
    inside = [name for name in files if not name.endswith((".html", ".css", ".js", ".mjs"))]
    script = _joined([*([FIRST] if FIRST in files else ()), *entries], files)
    worker = _engine(engine.decode()) + _joined([WORKER], files)
    styles = [files[name].decode() for name in _STYLE.findall(html)]
    html = _SCRIPT.sub("", html)
    html = _STYLE.sub(lambda found: f"<style>{files[found[1]].decode()}</style>", html)
    html = _IMAGE.sub(lambda found: f'{found[1]}="{_data(found[2], files)}"', html)
    policy = _POLICY.format(scripts=_hashes([script]), styles=_hashes(styles))
    data = "".join(
        f'<script type="text/plain" id="file:{name}">{_packed(files[name])}</script>\n'
        for name in inside
        if not name.endswith((".png", ".svg", ".webmanifest"))
    )
    end = (
        f'{data}<script type="text/plain" id="{WORKER}">{_inert(worker)}</script>\n'
        f'<script type="module">{script}</script>\n'
    )
    return _with_policy(html, policy).replace("</body>", f"{end}</body>").encode()


def _with_policy(html: str, policy: str) -> str:
    """Insert the content security policy after the charset."""
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    inserted, found = _CHARSET.subn(lambda found: f"{found[0]}\n    {meta}", html, count=1)
    if not found:
        raise ValueError("the page has no <meta charset>, after which its policy is inserted")
    return inserted


def _joined(entries: Sequence[str], files: Mapping[str, bytes]) -> str:
    """Join modules to one script; each imported module is a function that runs once, on demand."""
    parts: dict[str, str] = {}
    waiting = list(entries)
    while waiting:
        name = waiting.pop()
        if name not in parts:
            text, exports, needed = _module(name, files[name].decode())
            back = "" if name in entries else f"\nreturn {{ {', '.join(exports)} }};"
            parts[name] = f"{{\n{text}{back}\n}}"
            waiting += needed
    first = "\n".join(parts.pop(name) for name in entries)
    modules = ",\n".join(f"{name!r}: () => {text}" for name, text in parts.items())
    return _inert(
        f"(async () => {{\nconst $made = {{}};\nconst $modules = {{\n{modules}\n}};\n"
        "const $module = (name) => ($made[name] ??= $modules[name]());\n"
        f"{first}\n}})();\n"
    )


def _module(name: str, text: str) -> tuple[str, list[str], list[str]]:
    """Convert a module: body of a function, entries of its exports object, imported modules."""
    needed: list[str] = []
    exports: list[str] = []

    def path(relative: str) -> str:
        found = posixpath.normpath(posixpath.join(posixpath.dirname(name), relative))
        needed.append(found)
        return repr(found)

    def imported(found: re.Match[str]) -> str:
        names, whole, relative = found.groups()
        return f"const {whole or '{' + _renamed(names) + '}'} = $module({path(relative)});"

    def reexported(found: re.Match[str]) -> str:
        names = [part.strip() for part in found[1].split(",") if part.strip()]
        exports.extend(f"{part}: $module({path(found[2])}).{part}" for part in names)
        return ""

    def exported(found: re.Match[str]) -> str:
        exports.append(found[2])
        return found[1]

    def named(found: re.Match[str]) -> str:
        exports.append(_renamed(found[1], swapped=True))
        return ""

    text = _IMPORT.sub(imported, text)
    text = _BARE_IMPORT.sub(lambda found: f"$module({path(found[1])});", text)
    text = _REEXPORT.sub(reexported, text)
    text = _EXPORT_NAMES.sub(named, text)
    text = _EXPORT.sub(exported, text)
    text = _TYPE_IMPORT.sub(r"\1imported(", text)
    text = _DYNAMIC_IMPORT.sub(
        lambda found: f"Promise.resolve().then(() => $module({path(found[1])}))", text
    )
    if odd := re.search(r"^(?:import|export)\b.*$", text, re.MULTILINE):
        raise ValueError(f"{name}: {odd[0]!r} cannot be joined to one file")
    return text, exports, needed


def _renamed(names: str, *, swapped: bool = False) -> str:
    """Convert `a as b` to an object entry: `a: b`, or `b: a` for exports."""
    pairs = [part.split(" as ") for part in names.split(",") if part.strip()]
    return ", ".join(
        ": ".join(word.strip() for word in (reversed(pair) if swapped else pair)) for pair in pairs
    )


def _engine(text: str) -> str:
    """Convert onnxruntime-web's module to a script that sets `globalThis.ophisRuntime`.

    Chromium starts no module worker for a page from disk.
    """
    text = text.replace("import.meta.url", "self.location.href")
    if not (found := _ENGINE_EXPORT.search(text)):
        raise ValueError("the engine's module does not end with its exports")
    names = _renamed(found[1], swapped=True)
    return f"{text[: found.start()]}\nglobalThis.ophisRuntime = {{{names}}};\n"


def _inert(script: str) -> str:
    """Escape a script, so that it does not end its element."""
    return script.replace("</script", "<\\/script").replace("<!--", "< !--")


def _hashes(texts: Iterable[str]) -> str:
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
    return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"


def _packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()


def _data(name: str, files: Mapping[str, bytes]) -> str:
    kind = KINDS[f".{name.rpartition('.')[2]}"]
    return f"data:{kind};base64,{base64.b64encode(files[name]).decode()}"
