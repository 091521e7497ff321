"""Compact records by position, against sums over all records one by one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophis import InputError, SpeciesList
from ophis.geography.borders import EARTH_KM
from ophis.geography.location import Position
from ophis.priors.records import FAR_KM, KERNEL_WIDTHS, NEAR_KM, Records, read_records

SPECIES = SpeciesList(("adder", "boa", "cobra", "daboia"))
WIDTHS = (400.0, 50.0)
LATITUDES = st.floats(-90, 90)
LONGITUDES = st.floats(-180, 180).filter(bool)  # 0, 0 is no position


def kilometres(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return the straight distance of two points by the haversine formula."""
    (north, east), (other, far) = (tuple(map(math.radians, point)) for point in (a, b))
    half = math.sin((other - north) / 2) ** 2
    half += math.cos(north) * math.cos(other) * math.sin((far - east) / 2) ** 2
    return 2 * EARTH_KM * math.sqrt(half)


def made_records(number: int = 300, seed: int = 0, *, around: tuple[float, float] = (0, 0)):
    """Return records within some degrees of a point, none of the last species, and their rows."""
    rng = np.random.default_rng(seed)
    latitude = np.clip(around[0] + rng.normal(0, 3, number), -90, 90)
    longitude = (around[1] + rng.normal(0, 3, number) + 180) % 360 - 180
    column = rng.integers(0, 3, number)
    records = Records.of(SPECIES, latitude=latitude, longitude=longitude, column=column)
    rows = [
        (float(a) * records.step, float(b) * records.step, int(c), int(n))
        for a, b, c, n in zip(
            records.latitude, records.longitude, records.column, records.count, strict=True
        )
    ]
    return records, rows


AROUND = [(0.0, 0.1), (10.0, 179.9), (-45.0, -179.9), (89.5, 20.0), (-89.9, 100.0)]


@pytest.mark.parametrize("around", AROUND)
def test_lookup_equals_loop_over_all_records(around):
    records, rows = made_records(around=around)
    for position in (Position(*around), Position(*around, 30.0)):
        away = [kilometres(around, row[:2]) for row in rows]
        found = records.near(position)
        number, nearest = np.zeros(4), np.full(4, np.inf)
        sums = np.zeros((len(WIDTHS), 4))
        for (_, _, column, count), far in zip(rows, away, strict=True):
            number[column] += count * (far <= NEAR_KM)
            nearest[column] = min(nearest[column], far if far <= FAR_KM else np.inf)
            for scale, width in enumerate(WIDTHS):
                variance = width**2 + (position.accuracy_km / 2.45) ** 2
                if far < KERNEL_WIDTHS * math.sqrt(variance):
                    kernel = math.exp(-(far**2) / (2 * variance)) - math.exp(
                        -(KERNEL_WIDTHS**2) / 2
                    )
                    sums[scale, column] += count * kernel * width**2 / variance
        np.testing.assert_array_equal(found.records, number)
        np.testing.assert_allclose(found.nearest_km, nearest, rtol=1e-9, atol=1e-6)
        assert found.total == number.sum() > 0
        assert found.known.tolist() == [True, True, True, False]
        np.testing.assert_allclose(
            records.kernel_sums(position, WIDTHS), sums, rtol=1e-9, atol=1e-12
        )


@given(LATITUDES, LONGITUDES)
def test_lookup_is_defined_everywhere(latitude, longitude):
    records, _ = made_records(50)
    found = records.near(Position(latitude, longitude))
    assert (found.nearest_km >= 0).all()
    assert found.total == found.records.sum()
    assert (records.kernel_sums(Position(latitude, longitude), WIDTHS) >= 0).all()


def test_records_of_one_rounded_position_are_counted_together():
    records = Records.of(
        SPECIES,
        latitude=np.array([10.001, 10.002, 10.0, -5.0]),
        longitude=np.array([180.0, -180.0, 179.999, 20.0]),
        column=np.array([1, 1, 2, 0]),
    )
    assert records.latitude.tolist() == [-500, 1000, 1000]
    assert records.longitude.tolist() == [2000, -18000, -18000]
    assert records.column.tolist() == [0, 1, 2]
    assert records.count.tolist() == [1, 2, 1]


def test_many_records_are_rounded_to_a_wider_step(monkeypatch):
    monkeypatch.setattr("ophis.priors.records.MAX_ROWS", 3000)
    monkeypatch.setattr("ophis.priors.records.MAX_ROWS_OF_SPECIES", 1)
    rng = np.random.default_rng(0)
    fine, coarse = (
        Records.of(
            SPECIES,
            latitude=rng.uniform(-10, 10, number),
            longitude=rng.uniform(-10, 10, number),
            column=rng.integers(0, 4, number),
        )
        for number in (1000, 20_000)
    )
    assert (fine.step, coarse.step) == (0.01, 1.0)
    assert coarse.count.sum() == 20_000


def test_records_of_300_species_fit_in_the_page(tmp_path):
    """With 0.7 MB of the prior by country the page has at most 2 MB."""
    species = SpeciesList(tuple(f"Vipera no{number}" for number in range(300)))
    rng = np.random.default_rng(0)
    records = Records.of(
        species,
        latitude=rng.uniform(-50, 50, 500_000),
        longitude=rng.uniform(-180, 180, 500_000),
        column=rng.integers(0, 300, 500_000) // 10 * 10,
    )
    assert records.count.sum() == 500_000
    assert len(records.to_bytes()) <= 1.3e6
    assert records.write(tmp_path / "r.npz").stat().st_size <= 1.3e6


def test_bytes_of_the_page_are_the_arrays():
    records, _ = made_records(20)
    data = records.to_bytes()
    rows = len(records.count)
    assert len(data) == 10 * rows
    np.testing.assert_array_equal(np.frombuffer(data, "<u4", rows), records.count)
    np.testing.assert_array_equal(np.frombuffer(data, "<i2", rows, 4 * rows), records.latitude)
    np.testing.assert_array_equal(np.frombuffer(data, "<i2", rows, 6 * rows), records.longitude)
    np.testing.assert_array_equal(np.frombuffer(data, "<u2", rows, 8 * rows), records.column)


def test_file_has_the_same_records_for_other_columns(tmp_path):
    records, _ = made_records()
    path = records.write(tmp_path / "r.npz")
    others = SpeciesList(("cobra", "boa", "adder"))
    back = read_records(path, SPECIES, others)
    names = [others[column] for column in back.column]
    assert names == [SPECIES[column] for column in records.column]
    np.testing.assert_array_equal(back.latitude, records.latitude)
    with pytest.raises(InputError, match=r"r\.npz: species 'cobra' is not among the 2"):
        read_records(path, SPECIES, SpeciesList(("boa", "adder")))


DAMAGES = {
    "count": (0, "count = 0 is out of range"),
    "latitude": (9002, "latitude = 9002 is out of range"),
    "longitude": (-18002, "longitude = -18002 is out of range"),
    "column": (4, "column = 4 is out of range"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_records_out_of_range_are_refused(tmp_path, name):
    value, message = DAMAGES[name]
    records, _ = made_records()
    getattr(records, name)[-1] = value
    path = records.write(tmp_path / "r.npz")
    with pytest.raises(InputError, match=rf"r\.npz: records: row \d+: {message}"):
        read_records(path, SPECIES, SPECIES)


def test_file_of_too_many_rows_is_refused(tmp_path, monkeypatch):
    path = made_records()[0].write(tmp_path / "r.npz")
    monkeypatch.setattr("ophis.priors.records.MAX_ROWS", 10)
    monkeypatch.setattr("ophis.priors.records.MAX_ROWS_OF_SPECIES", 2)
    with pytest.raises(InputError, match="rows are more than the 10 of 4 species"):
        read_records(path, SPECIES, SPECIES)


def test_damaged_file_of_records_is_refused(tmp_path):
    records, _ = made_records()
    good = {
        name: getattr(records, name)
        for name in ("count", "latitude", "longitude", "column", "step")
    }
    wrong = {
        "sorted by latitude": {"latitude": good["latitude"][::-1]},
        "not uint32": {"count": good["count"].astype(np.int64)},
        "step = 0.7": {"step": 0.7},
        "'extra' is missing or not known": {"extra": 1},
        "column is uint16 of shape": {"column": good["column"][:-1]},
        "no record of any": {
            name: good[name][:0] for name in ("count", "latitude", "longitude", "column")
        },
    }
    for message, parts in wrong.items():
        np.savez(tmp_path / "r.npz", **{**good, **parts})
        with pytest.raises(InputError, match=message) as error:
            read_records(tmp_path / "r.npz", SPECIES, SPECIES)
        assert str(error.value).startswith(str(tmp_path / "r.npz"))
    (tmp_path / "r.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="not a file of records of ophis"):
        read_records(tmp_path / "r.npz", SPECIES, SPECIES)
    with pytest.raises(InputError, match="there is no such file of records"):
        read_records(tmp_path / "none.npz", SPECIES, SPECIES)
