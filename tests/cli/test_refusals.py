"""Refused commands leave nothing behind, and the corrected command works."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ophis import SpeciesList
from ophis.cli import main
from tests.support.commands import refused_here
from tests.support.made_bundle import write_made_bundle


@pytest.fixture
def place(tmp_path, small, monkeypatch) -> Path:
    """Fill the working folder: a bundle, recipes, photos, tables, a file and a folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = []
    for number in range(8):
        pixels = rng.integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(f"{number}.png")
        rows.append(f"{number}.png,{'ab'[number % 2]},kenya")
    Path("bad.jpg").write_text("no photo")
    Path("file").write_text("here before")
    Path("folder").mkdir()
    for name, lines in (
        ("train.csv", rows[:4]),
        ("validation.csv", rows[4:]),
        ("unlabelled.csv", ["6.png,,kenya", "7.png,,kenya"]),
        ("other.csv", ["0.png,Naja naja,kenya"]),
        ("bad.csv", [*rows[:4], "bad.jpg,a,kenya"]),
    ):
        Path(name).write_text("\n".join(["photo,species,country", *lines]) + "\n")
    write_made_bundle(Path("bundle"), SpeciesList(("a", "b")))
    for name, changes in (
        ("good.toml", {"backbone": "resnet10t"}),
        ("unknown.toml", {"backbone": "resnet999"}),
        ("unfit.toml", {"backbone": "vit_tiny_patch16_224", "crop_pixels": 30}),
        ("lost.toml", {"weights": "lost.pt"}),
    ):
        Path(name).write_text(small(**changes).to_toml())
    return tmp_path


def files(folder: Path) -> dict[str, bytes | None]:
    return {str(p): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


PARTS = "--train train.csv --validation validation.csv --out out"
REFUSED = [
    "score bundle other.csv --out out.npz",
    "score bundle unlabelled.csv --out folder",
    "score bundle unlabelled.csv --out file/out.npz",
    "score bundle unlabelled.csv --out out.npz --engine none",
    "collect train.csv --out out.txt",
    "collect other.csv --out out.csv --synonyms none.csv",
    "split train.csv --train out/train.csv --validation out/validation.txt",
    "split train.csv --train out/train.csv --validation file/validation.csv",
    "split train.csv --train out/train.csv --validation folder",
    "pack train.csv --out out --workers -1",
    "pack train.csv --out out --pixels 0",
    f"train unknown.toml {PARTS}",
    f"train unfit.toml {PARTS}",
    f"train lost.toml {PARTS}",
    f"train good.toml {PARTS} --workers -1",
    f"train good.toml {PARTS} --save-every -1",
    "train good.toml --train train.csv --validation validation.csv --out file",
    "train good.toml --train train.csv --validation unlabelled.csv --out out",
    f"study good.toml unknown.toml {PARTS}",
    f"study good.toml unfit.toml {PARTS}",
    f"study good.toml lost.toml {PARTS}",
    f"study good.toml good.toml {PARTS} --device none",
    "study good.toml good.toml --train train.csv --validation unlabelled.csv --out out",
    "fit-prior unlabelled.csv --out out.csv",
    "fit-prior train.csv --out folder",
    "export folder --out out",
    "sample out --count 1",
]


@pytest.mark.parametrize("command", REFUSED)
def test_refused_command_leaves_nothing(command, place, capsys):
    before = files(place)
    refused_here(capsys, *command.split())
    assert files(place) == before


def test_parts_folder_without_a_part_does_not_block_another_table(place, monkeypatch):
    """A process that is killed before its first part leaves a folder with nothing to lose."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("ophis.inference.scoring.parts.shutil.rmtree", lambda *_, **__: None)
    monkeypatch.setattr("ophis.inference.scoring.scores_file._score_parts", fail)
    with pytest.raises(RuntimeError):
        main(["score", "bundle", "unlabelled.csv", "--out", "out.npz"])
    assert (place / "out.npz.parts").exists()
    monkeypatch.undo()
    monkeypatch.chdir(place)
    with pytest.raises(SystemExit) as end:
        main(["score", "bundle", "validation.csv", "--out", "out.npz"])
    assert end.value.code == 0
    assert not (place / "out.npz.parts").exists()


def test_refusal_of_bad_photos_keeps_only_the_results_of_their_check(place):
    """Decoding all photos may take an hour; the corrected command does not repeat it."""
    given = ["--validation", "validation.csv", "--out", "out"]
    with pytest.raises(SystemExit):
        main(["train", "good.toml", "--train", "bad.csv", *given])
    assert [path.name for path in Path("out").iterdir()] == ["checked-photos.parquet"]
