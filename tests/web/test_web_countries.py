"""Names of countries in the page against Python."""

import pytest

from ophis.geography.countries import country_choices
from ophis.web.page import sentences_of
from tests.support.country_lists import LISTS
from tests.support.web_pages import opened_modules

FORMS = [form for forms in LISTS.values() for _, form in forms] + [
    "Korea", "Aust.", "Nig.", "R. Congo", "Congo, R.", "Georgia (US)", "Georgia (U.S. state)",
    "Georgia, USA", "Georgia (country)", "State of Georgia", "Kingdom of Congo", "Brasil (Brazil)",
    "People's Republic of Korea", "Burma/Myanmar", "S Sudan", "Rep of Korea", "Republic of Kenya",
    "Guinea (Bissau)", "Sudan (South)", "Virgin Islands (UK)", "404", "4", "N.A.", "-", "()", "A.",
    "Sardinia", "Dom. Rep.", "St.Lucia", "St-Kitts & Nevis", "UNITED STATES", "China (Taiwan)",
]  # fmt: skip
NAMED = """async ([forms, names]) => {
  const countries = await (await fetch("countries.json")).json();
  const {countriesNamed} = await import(`${location.origin}/country_search.js`);
  const {CountryForms} = await import(`${location.origin}/country_forms.js`);
  const english = new CountryForms(countries.english);
  return forms.map((form) => countriesNamed(form, names, countries.names, english));
}"""


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    with opened_modules(browser, tmp_path_factory.mktemp("page")) as page:
        yield page


def test_page_reads_the_forms_that_python_reads(page):
    found = page.evaluate(NAMED, [FORMS, sentences_of("en")["countries"]])
    differing = {
        form: (codes, country_choices(form))
        for form, codes in zip(FORMS, found, strict=True)
        if tuple(codes) != country_choices(form)
    }
    assert differing == {}
