import json

import numpy as np
import pytest

from ophis import CountryPrior, InputError, Scores, SpeciesList
from ophis.decision.calibration import Calibration, fit_temperature
from ophis.decision.rule import fit_rule
from ophis.inference.bundles.bundle import BundleWriter, read_bundle

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
def test_what_was_fitted_on_other_species_gets_into_no_bundle(tmp_path, part):
    """In the bundle its numbers would be taken for those of the bundle's species."""
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
    assert (tmp_path / "bundle" / "species.csv").is_file()


def test_one_temperature_for_all_species_is_for_any(tmp_path):
    temperature = fit_temperature(SCORES)
    with BundleWriter(tmp_path / "bundle") as writer:
        writer.write(species=TURNED, calibration=temperature, prior=None, rule=None, card="")
    assert (tmp_path / "bundle" / "calibration.json").is_file()


@pytest.mark.parametrize(
    ("members", "inner", "words"),
    [
        ({"": "x"}, {}, "`members` should map names in this folder"),
        ({"..": "x"}, {}, "`members` should map names in this folder"),
        ({"part": "x"}, {"..": "x"}, "`members` should map names in this folder"),
        ({"part": "x"}, {"part": "x"}, "part: does not belong in"),
    ],
)
def test_members_that_lie_elsewhere_or_have_members_are_refused(tmp_path, members, inner, words):
    """Else a bundle that names itself would be read until Python gives up."""
    folders = {tmp_path / "bundle": members, tmp_path / "bundle" / "part": inner}
    for folder, names in folders.items():
        with BundleWriter(folder) as writer:
            writer.write(species=SPECIES, calibration=None, prior=None, rule=None, card="")
        index = json.loads((folder / "bundle.json").read_text())
        (folder / "bundle.json").write_text(json.dumps(index | {"members": names}))
    with pytest.raises(InputError, match=words):
        read_bundle(tmp_path / "bundle")
