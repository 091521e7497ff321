"""Training BiT-R50x1 at 456 pixels on one GPU: ways of taking a step, timm's way, and the whole.

    python benchmarks/gpu.py --out FOLDER [--part steps turns] [--minutes 10] [--photos MANIFEST]
    python benchmarks/gpu.py --out FOLDER --tiny

Parts: `steps` measures each way by itself, with its difference to plain float32; `turns` the
product and the best way against timm's, turn by turn; `kernel` the fused norm against torch's two
operations; `whole` real training from photos on the disk; `largest` more photos a piece until the
memory is full; `compiled` the ways through torch.compile. Every line is written when it is there:
what is cut off keeps what was measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import gpu_kernel
import gpu_whole
import torch
from gpu_figures import DeviceLostError, Figures, First, markdown, measure, one_line, seconds_of
from gpu_peer import NAME as TIMM
from gpu_peer import Peer
from gpu_steps import REFERENCE, WAYS, Way
from gpu_work import Work, device_name, peak
from side_by_side import markdown as ratio_table
from side_by_side import row, timed

from ophis import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpu_steps import Step
    from side_by_side import Row

PARTS = ("steps", "turns", "kernel", "whole", "largest", "compiled")
REACH = 1.5


class Report:
    """What was found, on the disk and on the terminal as soon as it is known."""

    def __init__(self, out: Path, part: str, head: str) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._path = out / f"gpu-{part}"
        self._head = f"# {part}\n\n{head}\n"
        self.figures: list[Figures] = []
        self.ratios: list[Row] = []
        print(f"\n{self._head}", flush=True)

    def add(self, line: Figures | Row) -> None:
        """A line more."""
        if isinstance(line, Figures):
            self.figures.append(line)
        else:
            self.ratios.append(line)
        tables = [markdown(self.figures)] if self.figures else []
        tables += [ratio_table(self.ratios)] if self.ratios else []
        both = [asdict(known) for known in (*self.figures, *self.ratios)]
        self._path.with_suffix(".json").write_text(json.dumps(both, indent=1) + "\n")
        self._path.with_suffix(".md").write_text("\n".join([self._head, *tables, ""]))
        print(tables[isinstance(line, Figures) - 1].splitlines()[-1], flush=True)


class Bench:
    """The parts, on one device and within one time."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.tiny: bool = options.tiny
        device = torch.device("cpu" if self.tiny else "cuda")
        pieces = options.piece_photos, 512 // options.piece_photos
        self.work = (
            Work("bit_r14_half", 5, 32, 2, 2, device)
            if self.tiny
            else Work("resnetv2_50x1_bit", 783, 456, *pieces, device)
        )
        self.steps = 2 if self.tiny else options.steps
        self.ends = time.monotonic() + 60 * options.minutes
        self.best = options.way
        self.ways = [way for way in WAYS if self._wanted(way)]
        torch.backends.cudnn.benchmark = True  # as the product and timm's script have it

    def _wanted(self, way: Way) -> bool:
        """On the processor only what needs no GPU; the slowest compiler only when asked for."""
        if self.options.only:
            return way.name in self.options.only
        if self.tiny:
            return way.kind in ("product", "eager") and not way.fused
        return way.mode != "max-autotune" or self.options.autotune

    def head(self) -> str:
        """Device, versions, size of the work."""
        found = peak(self.work.device)
        known = f"{found[0]:g} TFLOP/s ({found[1]})" if found else "unknown for this device"
        return (
            f"{device_name(self.work.device)}, torch {torch.__version__}, {TIMM};"
            f" {self.work.backbone} at {self.work.pixels} pixels,"
            f" steps of {self.work.photos} photos in pieces of {self.work.piece_photos},"
            f" {self.work.photo_gflop:.4g} GFLOP a photo;"
            f" dense bfloat16 peak {known}."
        )

    def line(
        self, name: str, begin: Callable[[], Figures | Row], *, seconds: float = 15
    ) -> Figures | Row:
        """A measurement if there is time for it, or why there is none."""
        if time.monotonic() + seconds > self.ends:
            return Figures(name, failure="not run: --minutes were over; --part and --only go on")
        try:
            return begin()
        except DeviceLostError:
            raise
        except Exception as error:  # compilers, drivers and readers raise dozens of kinds
            return Figures(name, failure=one_line(error))

    def part_steps(self, report: Report) -> None:
        """Each way by itself, timm's first."""
        self._each(report, [way for way in self.ways if way.kind != "compiled"])
        ours = {f.photos_per_second or 0: f.name for f in report.figures if f.name != TIMM}
        self.best = self.best or (ours[max(ours)] if any(ours) else None)

    def part_compiled(self, report: Report) -> None:
        """The compiled ones: apart and last, since a compiler takes a minute or two for each."""
        self._each(report, [way for way in self.ways if way.kind == "compiled"], seconds=120)

    def _each(self, report: Report, ways: list[Way], *, seconds: float = 15) -> None:
        first = REFERENCE.begin(self.work)
        reference = First.of(first)
        del first
        report.add(self.line(TIMM, lambda: self._measure(TIMM, self._peer, reference)))
        for way in ways:
            begin = self._way(way)
            found = self.line(
                way.name,
                lambda n=way.name, b=begin: self._measure(n, b, reference),
                seconds=seconds,
            )
            report.add(found)

    def _measure(self, name: str, begin: Callable[[], Step], reference: First | None) -> Figures:
        return measure(name, begin, self.work, steps=self.steps, reference=reference)

    def _way(self, way: Way) -> Callable[[], Step]:
        return lambda: way.begin(self.work)

    def _peer(self) -> Peer:
        return Peer(self.work)

    def part_turns(self, report: Report) -> None:
        """The product and the best way against timm's, turn by turn."""
        names = dict.fromkeys(("ophis train", self.best or "ophis train, fused"))
        for way in (way for way in WAYS if way.name in names and self._wanted(way)):
            report.add(self.line(way.name, partial(self._turns, way)))

    def _turns(self, way: Way) -> Row:
        ours, theirs = way.begin(self.work), Peer(self.work)
        a, b = First.of(ours), First.of(theirs)
        gap = float((a.gradient - b.gradient).norm() / b.gradient.norm())
        del a, b
        turns = timed(
            lambda: seconds_of(ours, self.work.device),
            lambda: seconds_of(theirs, self.work.device),
            rounds=self.steps,
        )
        work = f"a step of {self.work.photos} photos, {way.name}"
        return row(work, TIMM, turns, reach=REACH, difference=f"gradient {gap:.1e}")

    def part_kernel(self, report: Report) -> None:
        """The fused norm, layer by layer."""
        for channels, side in gpu_kernel.SHAPES:
            shape = (self.work.piece_photos, channels, side, side)
            begin = partial(gpu_kernel.line, self.work.device, shape, rounds=self.steps)
            report.add(self.line(f"{channels} x {side}", begin))

    def part_whole(self, report: Report) -> None:
        """From photos on the disk, against the steps alone."""
        alone = next(way for way in WAYS if way.name == "ophis train")
        name = "the steps alone"
        report.add(self.line(name, lambda: self._measure(name, self._way(alone), None)))
        with tempfile.TemporaryDirectory() as folder:
            drawn = {"photos": 24, "side": 48} if self.tiny else {"photos": 520, "side": 640}
            path = self.options.photos or gpu_whole.made_photos(Path(folder) / "p", **drawn)
            pack = partial(gpu_whole.packed, path, pixels=self.work.recipe.resize_pixels)
            sources: tuple[tuple[str, Callable[[], Path], bool], ...] = (
                ("fit, photos of a folder", lambda: path, False),
                ("fit, photos of a folder, fused", lambda: path, True),
                ("fit, packed", lambda: pack(Path(folder) / "jpeg", raw=False), False),
                ("fit, packed raw", lambda: pack(Path(folder) / "raw", raw=True), False),
            )
            for name, photos, fused in sources[: 1 if self.tiny else None]:
                begin = partial(self._trained, name, photos, fused=fused)
                report.add(self.line(name, begin, seconds=45))

    def _trained(self, name: str, photos: Callable[[], Path], *, fused: bool) -> Figures:
        return gpu_whole.trained(
            name,
            read_manifest(photos()),
            self.work,
            steps=self.steps + 3,
            fused=fused,
            workers=self.options.workers,
        )

    def part_largest(self, report: Report) -> None:
        """More photos a piece, until it fails."""
        sides: dict[str, Callable[[Work], Step]] = {way.name: way.begin for way in WAYS}
        sides[TIMM] = Peer
        for name in dict.fromkeys(("ophis train", self.best or "ophis train, fused", TIMM)):
            work, failure = self.work, ""
            while work.pieces > 1 and not failure:
                work = replace(work, piece_photos=2 * work.piece_photos, pieces=work.pieces // 2)
                title, begin = f"{name}, {work.piece_photos} a piece", partial(sides[name], work)
                found = self.line(title, partial(measure, title, begin, work, steps=self.steps))
                report.add(found)
                failure = found.failure if isinstance(found, Figures) else ""


def main() -> int:
    """Run the parts; 2 where there is no GPU, 1 where a part or a line failed."""
    options = arguments().parse_args()
    if not options.tiny and not torch.cuda.is_available():
        words = "no CUDA device here; --tiny tries the script itself on a processor"
        print(f"gpu: {words}", file=sys.stderr)
        return 2
    if options.piece_photos < 1 or 512 % options.piece_photos:
        print("gpu: --piece-photos should divide the step's 512 photos", file=sys.stderr)
        return 2
    bench, failed = Bench(options), False
    head = bench.head()
    for part in options.part or (("steps", "turns", "whole") if options.tiny else PARTS):
        report = Report(options.out, part, head)
        try:
            getattr(bench, f"part_{part}")(report)
        except Exception as error:  # the parts that follow are run all the same
            print(f"gpu: part {part}: {error}", file=sys.stderr, flush=True)
            failed = True
            if isinstance(error, DeviceLostError):
                break
        failed = failed or any(line.failure for line in report.figures)
    return int(failed)


def arguments() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder of the tables, Markdown and JSON")
    add("--part", nargs="+", choices=PARTS, help="what to run; all by default")
    add("--only", nargs="+", choices=[w.name for w in WAYS], help="of the ways; all by default")
    add("--way", choices=[w.name for w in WAYS], help="the best way, where steps is not run")
    add("--minutes", type=float, default=9.5, help="nothing is begun that would end later")
    add("--steps", type=int, default=5, help="optimiser steps measured, after two to warm up")
    add("--piece-photos", type=int, default=32, help="photos of a micro-batch")
    add("--photos", type=Path, help="manifest of real photos for `whole`; else made ones")
    add("--workers", type=int, help="threads that read photos; else one a core")
    add("--autotune", action="store_true", help="also torch.compile's max-autotune: minutes")
    add("--tiny", action="store_true", help="try the script on a processor, with tiny sizes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
