import pytest

from ophis.datasets.occurrences.coordinates import correction

FAULTS = {
    "27°42'14\"N": "degrees, minutes and seconds",
    "27 42 14": "degrees, minutes and seconds",
    "27d 42m": "degrees, minutes and seconds",
    "27:42:14": "degrees, minutes and seconds",
    "27.5 S": "degrees, minutes and seconds",
    "W85": "degrees, minutes and seconds",
    "27,7": "decimal comma",
    "-27,7": "decimal comma",
    "\u221227.7": "dash for its minus",
    "north": "no number",
    "\u0662\u0667.\u0667": "no number",
    "2_7.5": "no number",
    "nan": "no number",
    "1.234,5": "no number",
    "91": "latitude should be from -90 to 90; correct it",
    "1e300": "not metres",
}


@pytest.mark.parametrize(("text", "fault"), FAULTS.items())
def test_the_fault_of_a_coordinate_is_named(text, fault):
    assert fault in correction("latitude", text, other="185.3")


@pytest.mark.parametrize("text", [text for text in FAULTS if text != "north"])
def test_a_text_that_may_be_a_position_is_not_repeated(text):
    assert text not in correction("latitude", text)


def test_a_latitude_that_fits_the_longitude_is_named():
    assert "exchange latitude and longitude" in correction("latitude", "118.2", other="22.1")
    assert "exchange" not in correction("latitude", "118.2", other="122.1")
    assert "should be negative" not in correction("latitude", "118.2", other="")
