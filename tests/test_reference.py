"""Generated pages and the version: equal to their sources."""

import re
import subprocess
import sys
import tomllib

from tests.support.paths import ROOT


def test_reference_pages_are_up_to_date(tmp_path):
    subprocess.run([sys.executable, ROOT / "requirements" / "reference.py", tmp_path], check=True)
    pages = sorted(tmp_path.glob("*.md"))
    assert {page.name for page in pages} == {"cli.md", "python.md"}
    for page in pages:
        kept = (ROOT / "docs" / page.name).read_text(encoding="utf-8")
        assert page.read_text(encoding="utf-8") == kept, "run `make reference`"


def test_changelog_begins_with_version_of_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^## (\S+)", text)[0] == project["version"]


def test_version_is_written_in_one_place():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pattern = re.compile(rf"(?i)version\W{{1,5}}{re.escape(version['version'])}\b")
    sources = [*(ROOT / "src").rglob("*.py"), ROOT / "x.py", ROOT / "zensical.toml"]
    assert [p for p in sources if pattern.search(p.read_text(encoding="utf-8"))] == []
