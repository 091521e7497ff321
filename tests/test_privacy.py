"""Tests of privacy: no command reports to the makers of dependencies or leaves identifiers."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ophis

PAGE = Path(__file__).parents[1] / "docs" / "privacy.md"
# Addresses of other machines in the calls that strace prints; name servers included.
OUTSIDE = re.compile(r'sa_family=AF_INET6?.*?inet_(?:addr|pton)\([^"]*"(?!127\.|::1")')


def run(folder, *command):
    """Run ophis with an empty home folder and without the switches; return that folder."""
    home = folder / "home"
    home.mkdir()
    kept = {name: text for name, text in os.environ.items() if name not in ophis.NO_TELEMETRY}
    own = {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
    done = subprocess.run(command, env=kept | own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return home


def test_identify_leaves_home_empty(imagenet17, synthetic_photo, tmp_path):
    bundle = imagenet17.bundle.folder
    home = run(tmp_path, sys.executable, "-m", "ophis", "identify", bundle, synthetic_photo)
    assert not list(home.rglob("*"))


@pytest.mark.full
@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_identify_opens_no_connection(imagenet17, synthetic_photo, tmp_path):
    calls = tmp_path / "calls"
    trace = ("strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", calls)
    bundle = imagenet17.bundle.folder
    run(tmp_path, *trace, sys.executable, "-m", "ophis", "identify", bundle, synthetic_photo)
    assert not OUTSIDE.findall(calls.read_text(errors="replace"))
    assert OUTSIDE.search('connect(3, {sa_family=AF_INET, sin_addr=inet_addr("8.8.8.8")}, 16)')


def test_value_of_the_user_stays():
    code = "import ophis, os; print(os.environ['HF_HUB_DISABLE_TELEMETRY'])"
    environment = os.environ | {"HF_HUB_DISABLE_TELEMETRY": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "0\n"


def test_page_lists_every_switch():
    text = PAGE.read_text(encoding="utf-8")
    for name, value in ophis.NO_TELEMETRY.items():
        assert f"`{name}={value}`" in text
