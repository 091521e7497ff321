import json
import os
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from ophis import CountryPrior, InputError, Scores, SpeciesList, load, read_prior
from ophis.datasets.training_photos import TRAINING_PHOTOS, write_training_photos
from ophis.decision.calibration import Calibration, fit_temperature
from ophis.decision.rule import fit_rule
from ophis.geography.location import Place, Position
from ophis.inference.bundles.bundle import BundleWriter, read_bundle
from ophis.priors.bayes import BayesPrior
from ophis.priors.location import LocationPrior
from ophis.priors.records import Records
from tests.support.made_bundle import write_made_bundle

SPECIES = SpeciesList(("Naja naja", "Boa boa", "Vipera berus"))
TURNED = SpeciesList(SPECIES.names[::-1])
NAMES = tuple(map(str, range(200)))
TRUTH = np.arange(200) % 3
SCORES = Scores(
    logits=2 * np.eye(3)[TRUTH] + np.random.default_rng(0).normal(size=(200, 3)),
    species=SPECIES,
    photo_ids=NAMES,
    truth=TRUTH,
    countries=("india",) * 200,
    observations=NAMES,
)
PARTS = {
    "calibration": Calibration(np.ones(3), np.array([0.0, 1.0, 2.0]), SPECIES),
    "prior": CountryPrior(SPECIES, ("india",), np.array([[3, 2, 1]])),
    "rule": fit_rule(SCORES),
}


@pytest.mark.parametrize("part", PARTS)
def test_writer_rejects_parts_of_other_species(tmp_path, part):
    """Parameters would otherwise be applied to the wrong species."""
    fitted = {name: found if name == part else None for name, found in PARTS.items()}
    with (
        pytest.raises(
            InputError, match=f"'Vipera berus' in the bundle and 'Naja naja' in the {part}"
        ),
        BundleWriter(tmp_path / "bundle") as writer,
    ):
        writer.write(species=TURNED, card="", **fitted)
    assert not list(tmp_path.iterdir())
    with BundleWriter(tmp_path / "bundle") as writer:
        writer.write(species=SPECIES, card="", **fitted)
        write_training_photos(writer.folder, np.zeros(0, np.uint64))
    assert (tmp_path / "bundle" / "species.csv").is_file()


def test_counts_as_published_stay_so_in_a_bundle(tmp_path):
    counts = CountryPrior(SPECIES, ("bahamas", "the-bahamas"), np.array([[3, 2, 1], [0, 1, 0]]))
    for merge_names, name in ((True, "prior.csv"), (False, "prior.toml")):
        folder = tmp_path / name
        with BundleWriter(folder) as writer:
            prior = replace(counts, merge_names=merge_names)
            writer.write(species=SPECIES, calibration=None, prior=prior, rule=None, card="")
        assert (folder / "prior.toml").is_file() == (not merge_names)
        read = read_prior(folder / name, SPECIES)
        np.testing.assert_array_equal(
            read.log_factors("the-bahamas")[0], prior.log_factors("the-bahamas")[0]
        )


def test_records_of_positions_are_files_of_the_bundle(tmp_path):
    records = Records.of(
        SPECIES, latitude=np.array([10.0]), longitude=np.array([77.0]), column=np.array([1])
    )
    prior = LocationPrior(BayesPrior(PARTS["prior"]), records)
    folder = write_made_bundle(tmp_path / "bundle", SPECIES, prior=prior)
    place = Place({"in": 1.0}, None, Position(10, 77))
    found, expected = read_bundle(folder).prior, prior.at(place)
    assert found
    assert expected
    here = found.at(place)
    assert here
    np.testing.assert_array_equal(here.log_factors("")[0], expected.log_factors("")[0])
    records_file = folder / "prior_records.npz"
    records_file.write_bytes(records_file.read_bytes() + b" ")
    with pytest.raises(InputError, match=r"prior_records\.npz: its checksum differs"):
        read_bundle(folder)


def test_single_temperature_fits_any_species(tmp_path):
    temperature = fit_temperature(SCORES)
    with BundleWriter(tmp_path / "bundle") as writer:
        writer.write(species=TURNED, calibration=temperature, prior=None, rule=None, card="")
    assert (tmp_path / "bundle" / "calibration.json").is_file()


def test_rule_without_the_training_photos_is_refused(tmp_path):
    """It may be fitted on training photos."""
    words = {"species": SPECIES, "calibration": None, "prior": None, "card": ""}
    line = r"bundle.json: decision.json needs training_photos.npz"
    with pytest.raises(InputError, match=line), BundleWriter(tmp_path / "bundle") as writer:
        writer.write(**words, rule=PARTS["rule"])
    assert not list(tmp_path.iterdir())
    folder = write_made_bundle(tmp_path / "bundle", SPECIES, rule=PARTS["rule"])
    assert read_bundle(folder).rule
    (folder / TRAINING_PHOTOS).unlink()  # not needed for answers
    assert read_bundle(folder).rule
    index = json.loads((folder / "bundle.json").read_text())
    index["files"].pop(TRAINING_PHOTOS)
    (folder / "bundle.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=line):
        read_bundle(folder)


def test_index_that_is_a_pipe_or_a_device_is_refused_at_once(tmp_path):
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        make(tmp_path / "bundle.json")
        with pytest.raises(InputError, match=r"bundle\.json: .* is no plain file \(a pipe, a"):
            read_bundle(tmp_path)
        (tmp_path / "bundle.json").unlink()


@pytest.mark.parametrize(
    ("members", "inner", "words"),
    [
        ({"": "x"}, {}, "`members` should map names in this folder"),
        ({"..": "x"}, {}, "`members` should map names in this folder"),
        ({"part": "x"}, {"..": "x"}, "`members` should map names in this folder"),
        ({"part": "x"}, {"part": "x"}, "part: does not belong in"),
    ],
)
def test_read_bundle_rejects_nested_or_outside_members(tmp_path, members, inner, words):
    """A bundle that contains itself would otherwise be read without end."""
    folders = {tmp_path / "bundle": members, tmp_path / "bundle" / "part": inner}
    for folder, names in folders.items():
        with BundleWriter(folder) as writer:
            writer.write(species=SPECIES, calibration=None, prior=None, rule=None, card="")
        index = json.loads((folder / "bundle.json").read_text())
        (folder / "bundle.json").write_text(json.dumps(index | {"members": names}))
    with pytest.raises(InputError, match=words):
        read_bundle(tmp_path / "bundle")


def test_only_the_expected_version_is_read(tmp_path):
    folder = write_made_bundle(tmp_path / "bundle", SPECIES)
    version = read_bundle(folder).version
    assert len(version) == 64
    assert read_bundle(folder, expect=version.upper()).version == version
    assert load(folder, expect=version).bundle.version == version
    for other in (version[:12], version[::-1], ""):
        with pytest.raises(InputError, match=f"is bundle {version}, and {other} is expected; copy"):
            load(folder, expect=other)


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no OpenSSH here")
def test_signature_of_the_index_covers_the_bundle(tmp_path):
    """The commands of docs/hub.md."""

    def ssh_keygen(*words: str, content: bytes = b"") -> int:
        command = ("ssh-keygen", *words)
        return subprocess.run(
            command, cwd=tmp_path, input=content, capture_output=True, check=False
        ).returncode

    bundle = write_made_bundle(tmp_path / "bundle", SPECIES)
    index = bundle / "bundle.json"
    assert ssh_keygen("-q", "-t", "ed25519", "-N", "", "-f", "key") == 0
    public = (tmp_path / "key.pub").read_text()
    (tmp_path / "allowed_signers").write_text(f"maker@example.org {public}")
    assert ssh_keygen("-Y", "sign", "-f", "key", "-n", "ophis", str(index)) == 0
    verify = ("-Y", "verify", "-f", "allowed_signers", "-I", "maker@example.org", "-n", "ophis")
    verify = (*verify, "-s", f"{index}.sig")
    assert ssh_keygen(*verify, content=index.read_bytes()) == 0
    assert read_bundle(bundle)  # with the signature in it
    assert ssh_keygen(*verify, content=index.read_bytes().replace(b"0", b"1", 1)) != 0
    (bundle / "model.onnx").write_bytes(b"another")
    with pytest.raises(InputError, match=r"model\.onnx"):
        read_bundle(bundle)
