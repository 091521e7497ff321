"""Folders that tests read."""

from pathlib import Path

import ophis

ROOT = Path(__file__).resolve().parents[2]  # the checkout
SOURCE = Path(ophis.__file__).parent  # the package
SHARED = ROOT.parent / "shared" / "data"  # real data, if present
