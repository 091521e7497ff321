import re
import xml.etree.ElementTree as ET

import numpy as np
import polars as pl
import pytest

from ophis import InputError, Occurrences, write_species_map
from ophis.datasets.occurrences.cleaning import SCHEMA
from ophis.evaluation.report.map_view import WIDTH, View
from ophis.evaluation.report.species_map import species_map


def records(*points: tuple[float, float], species: str = "Naja naja") -> Occurrences:
    rows = [(species, latitude, longitude, None, "IN") for latitude, longitude in points]
    return Occurrences(pl.DataFrame(rows, schema=SCHEMA, orient="row"), {})


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - made here


INDIA = records((20.5, 77.1), (21.5, 78.2), (12.3, 76.4), (20.5, 77.1))


def test_a_map_has_dots_shades_land_and_names():
    figure = species_map(INDIA, "naja_naja")
    picture = parsed(figure.svg)
    paths = {path.get("class"): path.get("d") for path in picture.iter() if path.get("d")}
    assert {"m-land", "m-a", "m-dot"} <= set(paths)
    assert figure.svg.count('class="m-a" d="M') == 3
    assert ">India<" in figure.svg
    assert "4 records" in figure.svg
    assert "Naja naja" in figure.svg
    assert figure.numbers.rows() == [(12.3, 76.4, 1), (20.5, 77.1, 2), (21.5, 78.2, 1)]
    assert len(figure.svg) < 200_000
    assert "4 records in 1 country" in figure.caption


def test_equal_records_give_equal_maps_without_invalid_numbers():
    assert species_map(INDIA, "Naja naja").svg == species_map(INDIA, "Naja naja").svg
    for points in ([(20.5, 77.1)], [(-89.9, 0.1), (89.9, 170.2)], [(0.1, 3), (0.1, 120), (1, 250)]):
        svg = species_map(records(*points), "Naja naja").svg
        assert not re.search(r"\bnan\b|inf\b|lz|e-0", svg)
        assert parsed(svg).get("viewBox")


@pytest.mark.parametrize(
    "points",
    [
        [(20.5, 77.1), (12.3, 76.4)],
        [(-16.8, 179.9), (-17.2, -179.8)],
        [(64.0, -170.0), (66.0, 175.0)],
        [(-55.0, -70.0), (60.0, -110.0)],
        [(5.0, -175.0), (5.0, -60.0), (5.0, 60.0), (5.0, 175.0)],
    ],
)
def test_a_view_holds_all_points(points):
    latitude, longitude = np.array(points).T
    view = View.around(latitude, longitude)
    units = view.points(view.turned(longitude), latitude)
    assert (units >= 0).all()
    assert (units <= [WIDTH, view.height]).all()
    assert 100 < view.height < 500
    assert view.south >= -90
    assert view.north <= 90 + 1e-9


def test_records_on_both_sides_of_180_degrees_are_near_each_other():
    latitude, longitude = np.array([(-16.8, 179.9), (-17.2, -179.8)]).T
    view = View.around(latitude, longitude)
    assert view.east - view.west < 20
    assert ">Fiji<" in species_map(records((-16.8, 179.9), (-17.2, -179.8)), "Naja naja").svg


def test_figures_of_a_page_do_not_share_ids():
    inline = species_map(INDIA, "Naja naja").inline
    assert 'id="naja-naja-land"' in inline
    assert "url(#naja-naja-shore)" in inline
    assert 'href="#naja-naja-land"' in inline
    assert "var(--a)" in inline


def test_a_map_is_written_as_svg(tmp_path):
    path = write_species_map(INDIA, "Naja naja", tmp_path / "maps" / "naja.svg")
    assert path.read_text(encoding="utf-8").startswith("<svg")
    with pytest.raises(InputError, match=r"naja\.png: a map is written as \.svg"):
        write_species_map(INDIA, "Naja naja", tmp_path / "naja.png")


def test_a_species_without_records_is_refused():
    with pytest.raises(InputError, match=r"'Naja naje' has no record; did you mean Naja naja\?"):
        species_map(INDIA, "Naja naje")
    with pytest.raises(InputError, match="'Boa' has no record; name one of them, such as Naja"):
        species_map(INDIA, "Boa")


def test_a_name_is_escaped():
    odd = "Naja <b>&'naja"
    svg = species_map(records((20.5, 77.1), species=odd), odd).svg
    assert parsed(svg) is not None
    assert "<b>" not in svg
    assert parsed(species_map(records((20.5, 77.1), species=odd), odd).inline) is not None
