"""All speed benchmarks in turn, and their table of the day: `make bench`.

    python benchmarks/table.py [--photos MANIFEST] [--only predict ...]

Without --photos the photos are synthetic. A script that fails is named at the end; the others still
run. With --only the other rows of the day stay; a row measured again is replaced.
"""

from __future__ import annotations

import argparse
import datetime as dt
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from side_by_side import markdown, read_rows, write_rows

from ophis.inference.doctor import processor, usable_cores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from side_by_side import Row

HERE = Path(__file__).resolve().parent
SCRIPTS = (
    "predict",
    "cold_start",
    "training_step",
    "decode",
    "loader",
    "packed_loader",
    "country_prior",
    "metrics",
)


def main() -> int:
    """Run the scripts; return 1 when one failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, help="manifest of real photos")
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=SCRIPTS)
    options = parser.parse_args()
    given = ["--photos", str(options.photos.resolve())] if options.photos else []
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    kept = HERE / "results" / f"{today}.jsonl"
    kept.parent.mkdir(exist_ok=True)
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "rows.jsonl"
        for name in options.only:
            print(f"\n## {name}", flush=True)
            command = [sys.executable, str(HERE / f"{name}.py"), "--rows", str(fresh), *given]
            if subprocess.run(command, check=False, cwd=HERE).returncode:
                failed.append(name)
        rows = merged(read_rows(kept), read_rows(fresh))
    write_rows(kept, rows)
    out = kept.with_suffix(".md")
    out.write_text(f"# {today}\n\n{machine()}\n\n{markdown(rows)}\n", encoding="utf-8")
    print(f"\n{markdown(rows)}\n\n{out}")
    for name in failed:
        print(f"table: {name}.py failed; its lines are missing", file=sys.stderr)
    return 1 if failed else 0


def merged(older: Sequence[Row], newer: Sequence[Row]) -> list[Row]:
    """Return all rows; a newer row replaces the older one of the same work and peer."""
    rows = {(line.work, line.peer): line for line in older}
    return list((rows | {(line.work, line.peer): line for line in newer}).values())


def machine() -> str:
    """Return processor, cores and Python version."""
    python = f"Python {sys.version.split()[0]}"
    return f"{processor()}, {usable_cores()} cores, {platform.system()}, {python}"


if __name__ == "__main__":
    sys.exit(main())
