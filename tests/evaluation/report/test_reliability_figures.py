from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ophis import InputError
from ophis.decision.calibration import reliability
from ophis.evaluation.metrics import risk_coverage
from ophis.evaluation.report.figure import write_figures
from ophis.evaluation.report.reliability_figures import (
    COLOURS,
    reliability_plot,
    risk_coverage_plot,
)
from tests.support.made_scores import EVIL, made


@pytest.fixture
def scores_by_model():
    return {
        (name, country): made(60, 6, strength=strength + country, seed=seed)
        for seed, (name, strength) in enumerate((("A", 0.5), ("$B & <b>", 2.0)))
        for country in (False, True)
    }


@pytest.mark.parametrize(
    ("draw", "table"),
    [
        (reliability_plot, lambda scores: reliability(scores).bins),
        (risk_coverage_plot, risk_coverage),
    ],
    ids=["reliability", "risk-coverage"],
)
def test_figure_holds_the_numbers_of_every_line(scores_by_model, draw, table, tmp_path):
    figure = draw(scores_by_model)
    (picture,) = write_figures([figure], tmp_path)
    assert picture == tmp_path / f"{figure.name}.svg"
    back = pl.read_csv(picture.with_suffix(".csv"))
    for (name, country), scores in scores_by_model.items():
        own = back.filter((pl.col("scores") == name) & (pl.col("country") == country))
        assert_frame_equal(own.drop("scores", "country"), table(scores), check_dtypes=False)
    texts = {
        "".join(element.itertext()).strip()
        for element in ET.parse(picture).iter("{http://www.w3.org/2000/svg}text")  # noqa: S314
    }
    assert {"A, without the country", "$B & <b>, with the country"} <= texts
    assert {"0%", "100%"} <= texts


def test_each_model_has_a_line_and_a_colour(scores_by_model):
    for many in (2, 5, 8):
        models = {(f"m{n}", False): scores_by_model["A", False] for n in range(many)}
        svg = reliability_plot(models).svg
        assert f">m{many - 1}<" in svg
        assert sum(colour in svg for colour in COLOURS) == (many if many <= 5 else 0)


def test_figures_of_perfect_single_and_impossible_scores_are_finite(scores_by_model):
    scores = scores_by_model["A", False]
    right = replace(scores, logits=np.where(np.eye(6)[scores.truth] > 0, 9.0, -np.inf))
    for odd in (right, right.take(np.array([0]))):
        for draw in (reliability_plot, risk_coverage_plot):
            figure = draw({(EVIL, False): odd})
            assert "nan" not in figure.svg.lower()
            assert "<img" not in figure.svg
            assert ET.fromstring(figure.svg).tag.endswith("svg")  # noqa: S314 - written by this test
            assert np.isfinite(figure.numbers.drop("scores", "country").to_numpy()).all()
    unlabelled = replace(scores, truth=np.full(60, -1))
    with pytest.raises(InputError, match="no photo has a known species"):
        reliability_plot({("A", False): unlabelled})


def test_figure_is_deterministic(scores_by_model):
    assert risk_coverage_plot(scores_by_model).svg == risk_coverage_plot(scores_by_model).svg
