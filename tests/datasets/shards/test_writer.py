import gc
import io
import json
import pickle
import shutil
import subprocess
import sys
import tarfile

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ophis import InputError, read_manifest
from ophis.datasets.manifest import Manifest
from ophis.datasets.near_duplicates import near_duplicate_groups
from ophis.datasets.shards.metadata import METADATA_FILE
from ophis.datasets.shards.pixels import read_packed
from ophis.datasets.shards.reader import Pack
from ophis.datasets.shards.writer import pack
from ophis.datasets.split import split
from ophis.files.folder_lock import locked_folder
from ophis.images.decode import read_photo
from ophis.images.preprocessing import resize

WHOLE = {"pixels": 36, "shard_photos": 10, "workers": 2}


@pytest.fixture(scope="session")
def raw(coloured, tmp_path_factory):
    out = tmp_path_factory.mktemp("packs") / "raw"
    pack(coloured, out, quality=None, **WHOLE)
    return read_manifest(out)


@pytest.fixture(scope="session")
def jpeg(coloured, tmp_path_factory):
    out = tmp_path_factory.mktemp("packs") / "jpeg"
    pack(coloured, out, **WHOLE)
    return read_manifest(out)


@pytest.fixture
def unreadable(coloured, tmp_path):
    """Return photos of which row 4 is damaged and row 13 is missing."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in coloured.paths():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "4.png").write_bytes((folder / "4.png").read_bytes()[:300])
    (folder / "13.png").unlink()
    return Manifest(coloured.table, folder)


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("[!.]*"))}


def content(shard, name):
    member = shard.extractfile(name)
    assert member
    return member.read()


def ophis(*arguments, **kind):
    command = [sys.executable, "-m", "ophis", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **kind)


def test_raw_pixels_equal_resized_photos(coloured, raw):
    for path, photo in zip(coloured.paths(), raw.photos(), strict=True):
        expected = resize(read_photo(path), 36)
        assert np.array_equal(read_packed(photo, 36), expected)
        assert np.array_equal(np.asarray(read_photo(photo)), expected)


def test_raw_pixels_are_a_view_of_the_shard(raw):
    pixels = read_packed(raw.photos()[0], 36)
    assert not pixels.flags.owndata
    assert not pixels.flags.writeable


def test_packed_jpeg_equals_pillow_round_trip(coloured, jpeg):
    """Reference: Pillow encodes and decodes the resized photo."""
    for path, photo in zip(coloured.paths(), jpeg.photos(), strict=True):
        buffer = io.BytesIO()
        Image.fromarray(resize(read_photo(path), 36)).save(buffer, "JPEG", quality=95)
        assert np.array_equal(read_packed(photo, 36), np.asarray(Image.open(buffer)))


@pytest.mark.parametrize("kind", ["raw", "jpeg"])
def test_packed_photo_is_resized_to_other_sizes(kind, request):
    photo = request.getfixturevalue(kind).photos()[5]
    assert np.array_equal(read_packed(photo, 24), resize(read_photo(photo), 24))


@pytest.mark.parametrize("kind", ["raw", "jpeg"])
def test_pack_keeps_the_manifest(kind, coloured, request):
    packed = request.getfixturevalue(kind)
    assert packed.table.equals(coloured.table)
    assert packed.sha256() != coloured.sha256()  # resized photos differ from their sources


def test_tarfile_and_numpy_read_a_shard(coloured, raw):
    """Reference: tarfile and numpy.load."""
    species = coloured.species_list()
    for row, photo in enumerate(raw.photos()):
        with tarfile.open(raw.folder / f"shard-{row // 10:05}.tar") as shard:
            key = f"{row:08}"
            array = np.load(io.BytesIO(content(shard, f"{key}.npy")))
            label = json.loads(content(shard, f"{key}.json"))
            assert int(content(shard, f"{key}.cls")) == coloured.truth(species)[row]
        assert np.array_equal(array, read_packed(photo, 36))
        expected = coloured.table.row(row, named=True)
        assert label == {name: expected[name] for name in label}
        assert set(label) == {"photo_id", "photo", "species", "country", "observation"}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it closes no file
@pytest.mark.parametrize("kind", ["raw", "jpeg"])
def test_webdataset_reads_the_shards(kind, request):
    webdataset = pytest.importorskip("webdataset", reason="webdataset is not installed")
    packed = request.getfixturevalue(kind)
    shards = [str(path) for path in sorted(packed.folder.glob("*.tar"))]
    suffix = Pack(packed.folder).metadata.suffix.removeprefix(".")
    found = webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8")
    samples = list(found.to_tuple("__key__", suffix, "json"))
    assert len(samples) == len(packed)
    for row, (key, pixels, label) in enumerate(samples):
        assert int(key) == row
        assert np.array_equal(pixels, read_packed(packed.photos()[row], 36))
        assert label["photo_id"] == packed.table["photo_id"][row]
    del found
    gc.collect()


@settings(max_examples=15)
@given(
    sizes=st.lists(st.tuples(st.integers(32, 90), st.integers(32, 90)), min_size=1, max_size=9),
    shard_photos=st.integers(1, 5),
    pixels=st.integers(32, 40),
    quality=st.sampled_from([None, 1, 80, 100]),
    workers=st.integers(1, 3),
    data=st.data(),
)
def test_offsets_point_to_their_photos(
    tmp_path_factory, sizes, shard_photos, pixels, quality, workers, data
):
    folder = tmp_path_factory.mktemp("sizes")
    for number, size in enumerate(sizes):
        noise = np.random.default_rng(number).integers(0, 255, (*size, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    rows = "".join(f"{number}.png,Made {number % 2},\n" for number in range(len(sizes)))
    (folder / "m.csv").write_text(f"photo,species,country\n{rows}")
    manifest = read_manifest(folder / "m.csv")
    options = {"pixels": pixels, "quality": quality, "shard_photos": shard_photos}
    packed = pack(manifest, folder / "pack", workers=workers, **options)
    found = read_manifest(folder / "pack")
    for row in data.draw(st.permutations(range(len(sizes)))):
        photo, index = found.photos()[row], packed.index.row(row, named=True)
        shard = (folder / "pack" / f"shard-{index['shard']:05}.tar").read_bytes()
        assert shard[index["offset"] :][: index["length"]] == photo.read_bytes()
        if quality is None:
            assert np.array_equal(
                read_packed(photo, pixels), resize(read_photo(manifest.paths()[row]), pixels)
            )


def test_bytes_do_not_depend_on_threads(coloured, raw, jpeg, tmp_path):
    for workers in (1, 3):
        for quality, packed in ((None, raw), (95, jpeg)):
            out = tmp_path / f"{workers}-{quality}"
            pack(coloured, out, quality=quality, **WHOLE | {"workers": workers})
            assert files(out) == files(packed.folder)


STOPPED = """
import os, signal, sys
from ophis import read_manifest
from ophis.datasets.shards.writer import pack

done = 0
def progress(number):
    global done
    done += number
    if done == 15:
        os.kill(os.getpid(), signal.SIGKILL)
rows = read_manifest(sys.argv[1], follow_links=True)
pack(rows, sys.argv[2], pixels=36, shard_photos=10, progress=progress)
"""


def test_killed_pack_is_resumed(coloured, jpeg, tmp_path):
    """SIGKILL during the second shard: the first is kept, the rest is written."""
    table = coloured.write(tmp_path / "m.csv")
    same = read_manifest(table, follow_links=True)
    reference = tmp_path / "reference"
    pack(same, reference, **WHOLE)
    out = tmp_path / "pack"
    command = [sys.executable, "-c", STOPPED, str(table), str(out)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -9
    assert list(out.glob(".shard-00001*"))  # an unfinished shard
    first = out / "shard-00000.tar"
    before = first.stat()
    seen = read_manifest(out)
    assert len(seen) == 10
    assert np.array_equal(read_packed(seen.photos()[9], 36), read_packed(jpeg.photos()[9], 36))

    done = ophis(
        "pack", table, "--out", out, "--pixels", 36, "--shard-photos", 10, "--follow-links"
    )
    assert done.returncode == 0, done.stderr
    assert files(out) == files(reference)
    assert not list(out.glob(".shard-*"))
    assert (first.stat().st_mtime_ns, first.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_unfinished_pack_is_readable(coloured, tmp_path):
    seen = []

    def inspect(_):
        found = read_manifest(tmp_path / "pack")
        if len(found):
            read_packed(found.photos()[-1], 36)
        seen.append((len(found), Pack(found.folder).complete))

    pack(coloured, tmp_path / "pack", progress=inspect, **WHOLE)
    assert seen == [(10 * (n // 10), False) for n in range(36)]
    assert Pack(tmp_path / "pack").complete


def test_resume_refuses_changed_photo(unreadable, tmp_path):
    out = tmp_path / "pack"
    pack(unreadable, out, **WHOLE)
    pack(unreadable, out, **WHOLE)  # unchanged photos are accepted
    Image.new("RGB", (64, 64)).save(unreadable.folder / "20.png")
    with pytest.raises(InputError, match=r"photo .20.png. has changed .*shard-00002.tar; delete"):
        pack(unreadable, out, **WHOLE)
    (out / "shard-00002.parquet").unlink()
    pack(unreadable, out, **WHOLE)
    assert not read_packed(read_manifest(out).photos()[20], 36).any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pixels": 40}, "pixels = 36, not 40"),
        ({"quality": None}, "quality = 95, not raw"),
        ({"shard_photos": 11}, "shard_photos = 10, not 11"),
    ],
)
def test_resume_refuses_other_options(coloured, jpeg, change, words):
    with pytest.raises(InputError, match=words):
        pack(coloured, jpeg.folder, **WHOLE | change)


def test_resume_refuses_other_pillow(coloured, jpeg, tmp_path):
    """Shards of one pack come from one decoder."""
    out = shutil.copytree(jpeg.folder, tmp_path / "pack")
    metadata = json.loads((out / METADATA_FILE).read_text())
    (out / METADATA_FILE).write_text(json.dumps(metadata | {"pillow": "1.1.7"}))
    with pytest.raises(InputError, match=r"begun with pillow = 1\.1\.7, not"):
        pack(coloured, out, **WHOLE)


def test_resume_refuses_other_manifest(coloured, jpeg):
    """Reason: a further column would be lost."""
    table = coloured.table.with_columns(note=pl.lit("x"))
    with pytest.raises(InputError, match="another manifest"):
        pack(Manifest(table, coloured.folder), jpeg.folder, **WHOLE)


def test_pack_refuses_folder_with_other_files(coloured, tmp_path):
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match=r"holds other files, such as thesis\.txt"):
        pack(coloured, tmp_path, **WHOLE)
    assert files(tmp_path) == {"thesis.txt": b"x"}


def test_pack_refuses_locked_folder(coloured, tmp_path):
    with locked_folder(tmp_path), pytest.raises(InputError, match="another process"):
        pack(coloured, tmp_path, **WHOLE)
    pack(coloured, tmp_path, **WHOLE)


def test_pack_in_a_folder_that_is_moved_ends_and_is_not_made_again(coloured, tmp_path):
    out = tmp_path / "pack"

    def move(_):
        if out.exists() and any(out.glob("*.parquet")):
            out.rename(tmp_path / "moved")

    with pytest.raises(InputError, match="pack"):
        pack(coloured, out, shard_photos=10, workers=1, progress=move)
    assert not out.exists()
    (tmp_path / "moved").rename(out)
    pack(coloured, out, shard_photos=10)


@pytest.mark.parametrize(
    "change",
    [{"pixels": 31}, {"pixels": 9000}, {"quality": 0}, {"quality": 101}, {"shard_photos": 0}],
)
def test_pack_refuses_option_out_of_range(coloured, tmp_path, change):
    with pytest.raises(InputError, match=f"{next(iter(change))} = .* should lie between"):
        pack(coloured, tmp_path, **WHOLE | change)


def test_pack_refuses_a_pack(jpeg, tmp_path):
    with pytest.raises(InputError, match="is a pack; pack the photos"):
        pack(jpeg, tmp_path, **WHOLE)


def test_unreadable_photos_keep_their_rows(unreadable, tmp_path):
    table = unreadable.write(tmp_path / "m.csv")
    out = tmp_path / "pack"
    command = ("pack", table, "--out", out, "--pixels", 36, "--shard-photos", 10, "--raw")
    command += ("--follow-links",)
    for _ in range(2):
        done = ophis(*command)
        assert done.returncode == 1
        lines = done.stderr.splitlines()
        assert lines[0].startswith("ophis: photos/4.png: damaged or cut short")
        assert lines[1] == "ophis: photos/13.png: there is no such photo"
        assert len(lines) == 2
        assert done.stdout.startswith("34 photos packed, 2 could not be read; ")
    packed = read_manifest(out)
    assert len(packed) == 36
    assert [str(photo).split(": ")[1] for photo in packed.missing_photos()] == [
        "photo '4.png'",
        "photo '13.png'",
    ]
    for row, photo in enumerate(packed.photos()):
        if row in (4, 13):
            with pytest.raises(InputError, match="could not be packed"):
                read_packed(photo, 36)
        else:
            path = unreadable.paths()[row]
            assert np.array_equal(read_packed(photo, 36), resize(read_photo(path), 36))


FULL = """
import resource, sys
from ophis.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
main(sys.argv[1:])
"""


def test_full_disk_leaves_complete_shards(coloured, raw, tmp_path):
    """A limit on file sizes stands in for a full disk: a shard of 34 raw photos exceeds it."""
    table = coloured.write(tmp_path / "m.csv")
    out = tmp_path / "pack"
    words = ["pack", str(table), "--out", str(out), "--pixels", "36", "--shard-photos", "34"]
    words += ["--follow-links"]
    command = [sys.executable, "-c", FULL, *words, "--raw"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(
        f"ophis: {out}/shard-00000.tar: cannot be written: File too large"
    )
    assert done.stderr.count("\n") == 1
    assert not list(out.glob("*shard*"))
    assert ophis(*words, "--raw").returncode == 0
    assert len(read_manifest(out)) == 36


def test_many_shards_need_at_most_256_open_files(coloured, tmp_path):
    names = (pl.concat_str(pl.lit(f"{n}/"), "photo") for n in range(9))
    table = pl.concat([coloured.table.with_columns(photo_id=name) for name in names])
    manifest = Manifest(table, coloured.folder)
    out = tmp_path / "pack"
    pack(manifest, out, pixels=32, quality=None, shard_photos=1)
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\n"
        "from ophis import read_manifest; from ophis.datasets.shards.pixels import read_packed\n"
        f"photos = read_manifest({str(out)!r}).photos()\n"
        "for _ in range(2):\n"
        "    for photo in photos: read_packed(photo, 32).sum()\n"
        "print(len(photos))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stdout == "324\n", done.stderr


@pytest.mark.usefixtures("in_base")
def test_split_tables_read_the_pack(jpeg, tmp_path):
    """`ophis split PACK`: written elsewhere and inside the pack, by its column `folder`."""
    train, validation = split(jpeg, 0.3, seed=1)
    for place in (tmp_path, jpeg.folder.parent):
        for part, name in ((train, "train.csv"), (validation, "validation.parquet")):
            back = read_manifest(part.write(place / name))
            assert back.pack is not None
            assert back.photos() == part.photos()
            assert back.table.equals(part.table)


def test_near_duplicate_groups_of_a_pack(raw, coloured):
    groups = near_duplicate_groups(raw)
    assert len(groups) == len(coloured)
    assert len(np.unique(groups)) > 30


def test_read_manifest_refuses_table_of_other_photos(raw, tmp_path):
    (tmp_path / "m.csv").write_text("photo,species,country\nx/99.png,Made red,\n")
    with pytest.raises(InputError, match=r"row 2: no finished shard of .* holds photo 'x/99.png'"):
        read_manifest(tmp_path / "m.csv", photos=raw.folder)
    (tmp_path / "m.csv").write_text("photo_id,photo,species,country\n1.png,x/2.png,Made red,\n")
    with pytest.raises(InputError, match=r"holds '1.png' as photo '1.png', not '2.png'"):
        read_manifest(tmp_path / "m.csv", photos=raw.folder)


def test_paths_of_a_pack_are_refused(raw):
    with pytest.raises(InputError, match="are no files"):
        raw.paths()


def test_packed_photo_can_be_pickled(raw):
    photo = pickle.loads(pickle.dumps(raw.photos()[20]))  # noqa: S301 - our own bytes
    assert np.array_equal(read_packed(photo, 36), read_packed(raw.photos()[20], 36))
    assert photo == raw.photos()[20]
