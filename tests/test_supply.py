"""Dependencies: known advisories, licences and the bill of materials."""

import importlib.util
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

REQUIREMENTS = ROOT / "requirements"
PERMISSIVE = {
    "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT", "MIT-CMU", "ISC", "0BSD", "Zlib",
    "CC0-1.0", "PSF-2.0", "Python-2.0", "BSL-1.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0",
}  # fmt: skip


def pins(lock: str) -> dict[str, set[str]]:
    """Return the versions that a lock pins by name, more than one if they depend on Python."""
    found: dict[str, set[str]] = {}
    text = (REQUIREMENTS / lock).read_text(encoding="utf-8")
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def everywhere(lock: str) -> set[str]:
    """Return the packages that a lock pins for every platform."""
    text = (REQUIREMENTS / lock).read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z0-9-]+)==\S+ \\$", text, re.MULTILINE))


def components(kind: str) -> dict[str, dict[str, Any]]:
    """Return the components of the bill of materials by name, of one kind: pypi or npm."""
    bill = json.loads((REQUIREMENTS / "sbom.json").read_text(encoding="utf-8"))
    return {
        re.sub(r"[-_.]+", "-", one["name"]).lower(): one
        for one in bill["components"]
        if one["purl"].startswith(f"pkg:{kind}/")
    }


def test_bill_of_materials_matches_the_locks():
    locked, listed = pins("all.txt"), components("pypi")
    assert len(listed) > 100
    for name, one in listed.items():
        assert one["version"] in locked[name], name
    assert everywhere("all.txt") - listed.keys() == set()
    core = {name for name, one in listed.items() if "core" in one["properties"][0]["value"]}
    assert everywhere("core.txt") <= core


def test_licences_are_known_and_only_heic_has_gpl():
    for name, one in (components("pypi") | components("npm")).items():
        licence, part = one["licenses"][0]["expression"], one["properties"][0]["value"]
        assert licence, name
        if "GPL" in licence and name != "pycountry":
            assert part == "heic", name
        if "core" in part and name != "pycountry":
            assert set(re.split(r" AND | OR ", licence)) <= PERMISSIVE | {"MPL-2.0"}, (
                name,
                licence,
            )


def test_licence_page_matches_the_bill_of_materials():
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    for one in (*components("pypi").values(), *components("npm").values()):
        row = f"| {one['name']} | {one['version']} | {one['licenses'][0]['expression']} |"
        assert row in page


class Advisories(BaseHTTPRequestHandler):
    """Stub of the advisory database, with advisories chosen by a test."""

    holes: frozenset[str] = frozenset()  # names, or name==version

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = request["package"]["name"]
        known = not self.holes.isdisjoint((name, f"{name}=={request['version']}"))
        advisory = {
            "id": "STUB-2026-1", "modified": "2026-01-01T00:00:00Z", "details": "made up",
            "affected": [{"package": request["package"], "versions": [request["version"]]}],
        }  # fmt: skip
        body = json.dumps({"vulns": [advisory]} if known else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - name in the base class
        """Log nothing."""


@pytest.fixture
def audit(monkeypatch) -> Iterator[Callable[[], None]]:
    """`make audit` against the stub, without set-up and npm."""
    if not Path(sys.executable).with_name("pip-audit").exists():
        pytest.skip("no pip-audit here (extra dev)")
    spec = importlib.util.spec_from_file_location("x", ROOT / "x.py")
    assert spec
    assert spec.loader
    x = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(x)
    monkeypatch.setattr(x, "setup", lambda: None)
    monkeypatch.setattr(x, "page", lambda: False)
    monkeypatch.setattr(x, "BIN", Path(sys.executable).parent)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Advisories)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OSV_URL", f"http://127.0.0.1:{server.server_port}/")
    target: Callable[[], None] = x.audit
    yield target
    server.shutdown()
    server.server_close()


@pytest.mark.full
def test_advisory_for_any_locked_package_fails_the_audit(audit, monkeypatch, capfd):
    audit()
    assert "No known vulnerabilities found" in capfd.readouterr().err
    holes = frozenset({"pillow", "torchmetrics", "uv"})
    monkeypatch.setattr(Advisories, "holes", holes)
    with pytest.raises(SystemExit) as ended:
        audit()
    assert ended.value.code == 1
    output = capfd.readouterr().out
    assert {name for name in holes if name in output} == holes
    assert output.count("STUB-2026-1") == len(holes)


@pytest.mark.full
def test_advisory_for_a_lower_bound_fails_the_audit(audit, monkeypatch, capfd):
    monkeypatch.setattr(Advisories, "holes", frozenset({"starlette==1.3.1"}))
    with pytest.raises(SystemExit):
        audit()
    assert "STUB-2026-1" in capfd.readouterr().out
