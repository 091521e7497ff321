from __future__ import annotations

import csv
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np
import pycountry
import pytest
from PIL import Image, ImageOps

from ophis import read_manifest, read_occurrences
from ophis.datasets.manifest import BOX
from ophis.datasets.synthetic import SAMPLE_SPECIES, sample, sample_folder, scene
from ophis.datasets.synthetic.body import lay
from ophis.datasets.synthetic.camera import TURNS, Photograph, develop, photograph
from ophis.datasets.synthetic.occurrences import RECORDS
from ophis.datasets.synthetic.population import MIN_PHOTOS, Sighting, sightings, species_counts
from ophis.datasets.synthetic.pose import lie_down
from ophis.datasets.synthetic.scene import draw_scene
from ophis.datasets.synthetic.species import COUNTRIES, SPECIES
from ophis.errors import InputError
from ophis.geography.countries import country_code, country_key

ORIENTATION = 0x0112
SIMILAR = (
    ("Synthetic red-ringed snake", "Synthetic scarlet-ringed snake"),
    ("Synthetic sand-diamond snake", "Synthetic dust-diamond snake"),
    ("Synthetic rust-blotched snake", "Synthetic chestnut-blotched snake"),
)


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample(tmp_path_factory.mktemp("synthetic") / "sample", count=MIN_PHOTOS).parent


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class TestFolder:
    def test_same_seed_same_bytes(self, folder: Path, tmp_path: Path):
        sample(tmp_path / "again", count=MIN_PHOTOS, seed=0)
        assert contents(tmp_path / "again") == contents(folder)

    def test_photos_depend_on_seed_and_row(self, folder: Path):
        row = sightings(MIN_PHOTOS, seed=0)[7]
        assert (folder / row.photo).read_bytes() == photograph(row, seed=0).data
        assert (folder / row.photo).read_bytes() != photograph(row, seed=1).data

    def test_manifest_lists_every_photo_once_and_relative(
        self, folder: Path, rows: list[dict[str, str]]
    ):
        assert list(rows[0]) == ["photo", "species", "country", "observation", *BOX]
        listed = [row["photo"] for row in rows]
        assert len(set(listed)) == len(listed) == MIN_PHOTOS
        assert set(listed) == {name for name in contents(folder) if name.endswith(".jpg")}
        assert {row["species"] for row in rows} == set(SAMPLE_SPECIES)

    def test_records_lie_in_the_countries_of_their_species(self, folder: Path):
        found = read_occurrences(folder / "occurrences.csv", species=SAMPLE_SPECIES)
        countries = {
            one.name: {country_code(country_key(name)) for name in one.countries} for one in SPECIES
        }
        assert not found.dropped
        for species, country in found.table.select("species", "country").iter_rows():
            assert country in countries[species]
        counts = found.table["species"].value_counts()["count"]
        assert (len(counts), counts.min(), counts.max()) == (len(SPECIES), RECORDS, RECORDS)

    def test_readme_describes_the_photos(self, folder: Path):
        text = (folder / "README.md").read_text(encoding="utf-8")
        assert "synthetic, not photographed" in text
        assert "of no use on real snakes" in " ".join(text.split())

    def test_sizes_and_both_shapes(self, folder: Path, rows: list[dict[str, str]]):
        sizes = []
        for row in rows:
            with Image.open(folder / row["photo"]) as photo:
                sizes.append(ImageOps.exif_transpose(photo).size)
        assert all(360 <= side <= 640 for size in sizes for side in size)
        assert any(width > height for width, height in sizes)
        assert any(width < height for width, height in sizes)
        assert len(set(sizes)) > 10

    def test_foreign_folder_is_refused_and_untouched(self, tmp_path: Path):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.txt").write_text("years of work", encoding="utf-8")
        with pytest.raises(InputError, match=r"thesis\.txt.*name an empty or a new folder"):
            sample(tmp_path / "mine", count=MIN_PHOTOS)
        assert contents(tmp_path) == {"mine/thesis.txt": b"years of work"}

    def test_folder_without_marker_is_refused(self, tmp_path: Path):
        (tmp_path / "photos").mkdir()
        with pytest.raises(InputError, match="photos"):
            sample(tmp_path, count=MIN_PHOTOS)

    def test_sample_with_added_file_is_refused(self, folder: Path, tmp_path: Path):
        (tmp_path / sample_folder.MARKER).touch()
        (tmp_path / "notes.txt").touch()
        with pytest.raises(InputError, match=r"notes\.txt"):
            sample(tmp_path, count=MIN_PHOTOS)

    def test_sample_with_added_photo_is_refused(self, tmp_path: Path):
        (tmp_path / sample_folder.MARKER).touch()
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "holiday.jpg").touch()
        with pytest.raises(InputError, match=r"holiday\.jpg"):
            sample(tmp_path, count=MIN_PHOTOS)

    def test_file_as_folder_is_refused(self, tmp_path: Path):
        (tmp_path / "out").touch()
        with pytest.raises(InputError, match="is a file"):
            sample(tmp_path / "out")

    def test_working_directory_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(InputError, match="working directory"):
            sample(Path())

    @pytest.mark.parametrize(
        ("count", "seed"), [(MIN_PHOTOS - 1, 0), (100_000, 0), (MIN_PHOTOS, -1)]
    )
    def test_numbers_out_of_range_are_refused(self, tmp_path: Path, count: int, seed: int):
        with pytest.raises(InputError, match=r"^(count|seed) = "):
            sample(tmp_path / "out", count=count, seed=seed)
        assert not contents(tmp_path)


class TestReplacing:
    """Replacement of a sample, with a fake camera."""

    @pytest.fixture
    def quick(self, monkeypatch: pytest.MonkeyPatch):

        def fake(row: Sighting, *, seed: int) -> Photograph:
            return Photograph(f"{row} {seed}".encode(), (0.0, 0.0, 1.0, 1.0))

        monkeypatch.setattr(sample_folder, "photograph", fake)

    @pytest.mark.usefixtures("quick")
    def test_sample_is_replaced(self, tmp_path: Path):
        out = tmp_path / "deep" / "out"
        sample(out, count=50, seed=1)
        manifest = sample(out, count=40, seed=2)
        assert manifest == out / "manifest.csv"
        assert len(list((out / "photos").iterdir())) == 40
        assert [path.name for path in out.parent.iterdir()] == ["out"]

    @pytest.mark.usefixtures("quick")
    def test_empty_folder_is_used(self, tmp_path: Path):
        (tmp_path / "out").mkdir()
        sample(tmp_path / "out", count=40)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    @pytest.mark.usefixtures("quick")
    def test_failure_keeps_the_old_sample(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        sample(tmp_path / "out", count=40)
        before = contents(tmp_path)

        def fail(row: object, *, seed: int) -> bytes:
            raise OSError("no space left")

        monkeypatch.setattr(sample_folder, "photograph", fail)
        for name in ("out", "new"):
            with pytest.raises(OSError, match="no space left"):
                sample(tmp_path / name, count=40)
        assert contents(tmp_path) == before
        assert [path.name for path in tmp_path.iterdir()] == ["out"]


class TestSpecies:
    def test_names_begin_with_synthetic(self):
        assert all(name.startswith("Synthetic ") for name in SAMPLE_SPECIES)
        assert len(set(SAMPLE_SPECIES)) == len(SAMPLE_SPECIES) == 12

    def test_countries_are_real_and_fractions_add_up(self):
        assert len(COUNTRIES) == 8
        assert all(pycountry.countries.lookup(name) for name in COUNTRIES)
        assert all(sum(one.countries.values()) == pytest.approx(1) for one in SPECIES)

    def test_similar_species_share_no_country(self):
        species = {one.name: one for one in SPECIES}
        for one, other in SIMILAR:
            assert species[one].pattern == species[other].pattern
            assert not set(species[one].countries) & set(species[other].countries)

    def test_each_country_has_two_species_or_more(self):
        for name in COUNTRIES:
            assert sum(name in one.countries for one in SPECIES) >= 2

    def test_species_differ(self):
        assert all(one != other for one, other in combinations(SPECIES, 2))


class TestPopulation:
    def test_long_tail(self):
        counts = species_counts(600)
        assert sum(counts) == 600
        assert counts == sorted(counts, reverse=True)
        assert counts[-1] >= 8
        assert 15 <= counts[0] / counts[-1] <= 20

    @pytest.mark.parametrize("photos", [36, 37, 48, 60, 100, 333, 1000, 5000])
    def test_any_number_of_photos(self, photos: int):
        counts = species_counts(photos)
        assert sum(counts) == photos
        assert min(counts) >= 3
        assert len(sightings(photos, seed=3)) == photos

    def test_countries_are_of_the_species_or_unknown(self):
        rows = sightings(600, seed=0)
        assert all(row.country in {*row.species.countries, "UNKNOWN"} for row in rows)
        assert 0.05 <= sum(row.country == "UNKNOWN" for row in rows) / 600 <= 0.12
        assert {row.country for row in rows} == {*COUNTRIES, "UNKNOWN"}

    def test_photos_of_one_snake_share_species_and_country(self):
        snakes = defaultdict(set)
        rows = sightings(600, seed=0)
        for row in rows:
            snakes[row.observation].add((row.species.name, row.country))
        assert all(len(facts) == 1 for facts in snakes.values())
        sizes = Counter(Counter(row.observation for row in rows).values())
        assert set(sizes) == {1, 2, 3}
        assert sizes[1] > sizes[2] + sizes[3]

    @pytest.mark.parametrize("photos", [36, 60, 600])
    def test_each_species_has_three_snakes_or_more(self, photos: int):
        snakes = defaultdict(set)
        for row in sightings(photos, seed=0):
            snakes[row.species.name].add(row.snake)
        assert min(map(len, snakes.values())) >= 3

    def test_order_is_random(self):
        names = [row.species.name for row in sightings(600, seed=0)]
        assert len(set(names[:60])) >= 9
        assert names != [row.species.name for row in sightings(600, seed=1)]


class TestCamera:
    @pytest.mark.parametrize("tag", TURNS)
    def test_exif_transpose_inverts_each_orientation(self, tag: int):
        pixels = np.random.default_rng(tag).integers(0, 256, (3, 5, 3), dtype=np.uint8)
        stored = Image.fromarray(pixels).transpose(TURNS[tag])
        stored.getexif()[ORIENTATION] = tag
        assert np.array_equal(np.asarray(ImageOps.exif_transpose(stored)), pixels)

    def test_rotated_files_decode_to_the_upright_scene(self, folder: Path):
        turned = 0
        for row in sightings(MIN_PHOTOS, seed=0):
            with Image.open(folder / row.photo) as photo:
                tag = photo.getexif().get(ORIENTATION)
                if tag is None or photo.mode == "L" or turned == 4:
                    continue
                upright = np.asarray(ImageOps.exif_transpose(photo), np.float32)
            turned += 1
            rendered = develop(
                draw_scene(row, seed=0).planes, np.random.default_rng((0, 3, row.number))
            )
            assert upright.shape == np.asarray(rendered).shape
            assert np.abs(upright - np.asarray(rendered, np.float32)).mean() < 6  # JPEG's loss
        assert turned == 4

    def test_about_a_third_is_rotated(self, folder: Path, rows: list[dict[str, str]]):
        turned = 0
        for row in rows:
            with Image.open(folder / row["photo"]) as photo:
                turned += ORIENTATION in photo.getexif()
        assert 0.15 <= turned / len(rows) <= 0.45


class TestBox:
    def test_box_encloses_the_snake(self, monkeypatch: pytest.MonkeyPatch):
        """Reference: pixels that change when the snake is painted brighter."""
        rows = sightings(MIN_PHOTOS, seed=0)[:6]
        dark = [draw_scene(row, seed=0).planes for row in rows]
        real = scene.paint
        monkeypatch.setattr(scene, "paint", lambda body, coat: real(body, coat) + 3)
        for row, before in zip(rows, dark, strict=True):
            found = draw_scene(row, seed=0)
            _, height, width = before.shape
            down, across = np.nonzero(np.abs(found.planes - before).max(axis=0) > 1e-3)
            seen = (across.min(), down.min(), across.max() + 1, down.max() + 1)
            box = np.array(found.box) * (width, height, width, height)
            # Rims cover a part of a pixel, grass may hide a tip.
            assert np.abs(box - seen).max() < 0.1 * max(width, height)
            assert np.median(np.abs(box - seen)) <= 1.5

    def test_manifest_has_the_box(self, folder: Path):
        boxes = read_manifest(folder / "manifest.csv").boxes()
        first = draw_scene(sightings(MIN_PHOTOS, seed=0)[0], seed=0).box
        np.testing.assert_allclose(boxes[0], first, atol=5e-5)
        assert np.isfinite(boxes).all()


class TestBody:
    @pytest.mark.parametrize("canvas", [(640, 480), (360, 540), (480, 480)])
    def test_snake_is_on_the_photo_with_its_head(self, canvas: tuple[int, int]):
        for seed in range(12):
            spine = lie_down(np.random.default_rng(seed), length=26.0, canvas=canvas)
            body = lay(spine, head_width=0.9, canvas=canvas, light=(0.6, 0.0))
            assert len(np.unique(body.pixel)) == len(body.pixel)
            assert 0.02 < len(body.pixel) / (canvas[0] * canvas[1]) < 0.7
            assert body.along.min() < 0.1  # the snout
            assert np.abs(body.across).max() <= 1

    def test_straight_body_maps_back_to_its_coordinates(self):
        steps = np.arange(0, 200, 0.5, dtype=np.float32)
        along = (200 - steps) / 20
        spine = type(lie_down(np.random.default_rng(0), length=20.0, canvas=(400, 400)))(
            steps + 20, np.full_like(steps, 50), along, 20.0
        )
        body = lay(spine, head_width=0.9, canvas=(240, 100), light=(0.0, 0.0))
        row, column = np.divmod(body.pixel, 240)
        assert np.allclose(body.along, np.maximum((220 - column - 0.5) / 20, 0), atol=0.05)
        inside = body.cover == 1
        beside = (row + 0.5 - 50) / (body.half * 20)
        assert np.allclose(body.across[inside], beside[inside], atol=1e-3)
