from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss

from ophis import InputError, Scores, SpeciesList
from ophis.decision.calibration import Calibration, fit_temperature, read_calibration, reliability


def synthetic(photos, *, confidence=1.0, seed=0, species=5) -> Scores:
    """Return photos with species sampled from calibrated logits, which are then scaled."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(photos, species))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (p.cumsum(axis=1) < rng.random((photos, 1))).sum(axis=1)
    names = tuple(map(str, range(photos)))
    return Scores(
        logits=confidence * logits,
        species=SpeciesList(tuple(f"species {n}" for n in range(species))),
        photo_ids=names,
        truth=np.minimum(truth, species - 1),
        countries=("UNKNOWN",) * photos,
        observations=names,
    )


def test_log_loss_and_brier_equal_scikit_learn():
    scores = synthetic(300)
    got, labels = reliability(scores), list(range(5))
    p = scores.probabilities()
    assert got.log_loss == pytest.approx(log_loss(scores.truth, p, labels=labels), rel=1e-9)
    assert got.brier == pytest.approx(
        brier_score_loss(scores.truth, p, labels=labels, scale_by_half=False), rel=1e-9
    )


def test_calibration_errors_by_hand():
    p = np.array([[0.8, 0.2], [0.9, 0.1], [0.55, 0.45], [0.1, 0.9]])
    scores = replace(synthetic(4, species=2), logits=np.log(p), truth=np.array([0, 1, 0, 1]))
    got = reliability(scores, bins=2)  # all answers are in the upper bin
    assert got.ece == pytest.approx(abs((0.8 + 0.9 + 0.55 + 0.9) / 4 - 3 / 4))
    upper = abs((0.8 - 1) + (0.9 - 0) + (0.55 - 1)) / 4
    assert got.classwise_ece == pytest.approx(upper + 0.1 / 4)
    assert got.bins.rows() == [(pytest.approx(3.15 / 4), 0.75, 4)]


def test_calibration_errors_tell_calibrated_from_overconfident():
    good, bad = reliability(synthetic(20_000)), reliability(synthetic(20_000, confidence=3))
    assert good.ece < 0.02
    assert bad.ece > 0.1
    assert good.ece < 2 * good.ece_floor
    assert bad.ece > 10 * bad.ece_floor
    assert good.rms_calibration_error < 0.01
    assert bad.rms_calibration_error > 0.1
    assert {"ece_floor", "rms_calibration_error"} <= good.as_dict().keys()
    assert good.classwise_ece < 0.01 < bad.classwise_ece
    assert good.log_loss < bad.log_loss
    assert good.brier < bad.brier


@settings(max_examples=25)
@given(st.floats(0.2, 5), st.integers(0, 2**32 - 1))
def test_temperature_undoes_scaling(confidence, seed):
    alone = fit_temperature(synthetic(400, seed=seed)).temperature
    done = fit_temperature(synthetic(400, seed=seed, confidence=confidence)).temperature
    assert done == pytest.approx(confidence * alone, rel=1e-6)


def test_temperature_lowers_validation_loss():
    calibration = fit_temperature(synthetic(2000, seed=1, confidence=3))
    assert calibration.temperature == pytest.approx(3, rel=0.1)
    validation = synthetic(5000, seed=2, confidence=3)
    calibrated = calibration.apply(validation)
    assert reliability(calibrated).log_loss < reliability(validation).log_loss - 0.1
    assert reliability(calibrated).ece < 0.02
    np.testing.assert_array_equal(
        calibrated.logits.argmax(axis=1), validation.logits.argmax(axis=1)
    )


def test_temperature_on_probabilities_is_worse_than_on_logits():
    """The form published for snakes: softmax(probabilities / temperature)."""
    scores = synthetic(2000, seed=1, confidence=3)
    validation = synthetic(5000, seed=2, confidence=3)
    wrong = fit_temperature(replace(scores, logits=scores.probabilities()))
    published = wrong.apply(replace(validation, logits=validation.probabilities()))
    expected = fit_temperature(scores).apply(validation)
    assert reliability(expected).log_loss < reliability(published).log_loss - 0.02


def test_fitted_temperature_minimises_loss():
    scores = synthetic(500, confidence=0.4)
    best = fit_temperature(scores)
    least = reliability(best.apply(scores)).log_loss
    for factor in (0.9, 0.99, 1.01, 1.1):
        other = replace(best, scale=best.scale * factor)
        assert reliability(other.apply(scores)).log_loss > least


def test_fit_temperature_rejects_unusable_scores():
    scores = synthetic(3)
    with pytest.raises(InputError, match="no photo has a known species"):
        fit_temperature(replace(scores, truth=np.full(3, -1)))
    logits = scores.logits.copy()
    logits[1, scores.truth[1]] = -np.inf
    with pytest.raises(InputError, match=r"photo '1': the scores exclude its true species"):
        fit_temperature(replace(scores, logits=logits))
    for species, whose in ((scores.species, "5 species"), (None, "an unknown species list")):
        with pytest.raises(InputError, match=f"has 3 numbers for {whose}; fit it anew"):
            replace(fit_temperature(scores), offset=np.zeros(3), species=species)


def test_calibration_by_species_requires_same_species_order(tmp_path):
    scores = synthetic(9)
    apart = Calibration(np.arange(1.0, 6.0), np.zeros(5), scores.species)
    turned = scores.with_species(SpeciesList(scores.species.names[::-1]))
    with pytest.raises(InputError, match=r"species 1 is 'species 4' in the scores and 'species 0'"):
        apart.apply(turned)
    with pytest.raises(InputError, match="species 4 is missing in the scores and 'species 3' in"):
        apart.apply(synthetic(9, species=3))
    path = apart.write(tmp_path / "c.json")
    with pytest.raises(InputError, match="species 1 is 'species 0' in the scores"):
        read_calibration(path, turned.species).apply(scores)
    with pytest.raises(InputError, match=r"c.json: a calibration has 5 numbers for 3 species"):
        read_calibration(path, synthetic(9, species=3).species)
    one = fit_temperature(synthetic(200))  # the same for all: it is for any species
    np.testing.assert_array_equal(one.apply(turned).logits[:, ::-1], one.apply(scores).logits)


def test_written_calibration_reads_back(tmp_path):
    fitted = fit_temperature(synthetic(200))
    back = read_calibration(fitted.write(tmp_path / "c.json"), synthetic(1).species)
    np.testing.assert_array_equal(
        back.apply(synthetic(9)).logits, fitted.apply(synthetic(9)).logits
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read as JSON"),
        ('{"scale": 1}', "not a calibration of ophis: 'offset'"),
        ('{"scale": "much", "offset": 0}', "`scale` holds 'much'"),
        ('{"scale": 0, "offset": 0}', "`scale` holds 0 and should be a number of at least 1e-06"),
        ('{"scale": "1", "offset": 0}', "`scale` holds '1'"),
        ('{"scale": true, "offset": 0}', "`scale` holds True"),
        ('{"scale": 1e300, "offset": 0}', "`scale` holds 1e+300"),
        ('{"scale": 1, "offset": [-1e9]}', "`offset` holds -1000000000.0"),
        ('{"scale": [[1]], "offset": 0}', "`scale` holds [1]"),
        ('{"scale": 1, "offset": NaN}', "`offset` holds nan"),
    ],
)
def test_read_calibration_rejects_bad_file(tmp_path, text, words):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(InputError) as error:
        read_calibration(tmp_path / "c.json", synthetic(1).species)
    assert str(tmp_path / "c.json") in str(error.value)
    assert words in str(error.value)
