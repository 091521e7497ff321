"""Every speed benchmark, one after the other, and their table with its date: `make bench`.

    python benchmarks/table.py [--photos MANIFEST] [--only predict ...]

Without --photos the photos are drawn ones. A script that fails is named at the end, and the others
are run all the same.
"""

from __future__ import annotations

import argparse
import datetime as dt
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from side_by_side import markdown, read_rows

from ophis.doctor import processor, usable_cores

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
    """Run them; exit status 1 when one failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, help="manifest of real photos")
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=SCRIPTS)
    options = parser.parse_args()
    given = ["--photos", str(options.photos.resolve())] if options.photos else []
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.jsonl"
        for name in options.only:
            print(f"\n## {name}", flush=True)
            command = [sys.executable, str(HERE / f"{name}.py"), "--rows", str(rows), *given]
            if subprocess.run(command, check=False, cwd=HERE).returncode:
                failed.append(name)
        table = markdown(read_rows(rows))
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    out = HERE / "results" / f"{today}.md"
    out.parent.mkdir(exist_ok=True)
    out.write_text(f"# {today}\n\n{machine()}\n\n{table}\n", encoding="utf-8")
    print(f"\n{table}\n\n{out}")
    for name in failed:
        print(f"table: {name}.py failed; its lines are missing", file=sys.stderr)
    return 1 if failed else 0


def machine() -> str:
    """What ran it: processor, cores, Python."""
    python = f"Python {sys.version.split()[0]}"
    return f"{processor()}, {usable_cores()} cores, {platform.system()}, {python}"


if __name__ == "__main__":
    sys.exit(main())
