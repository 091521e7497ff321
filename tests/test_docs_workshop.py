"""What the longer pages of docs/ show is run, apart from the others: see `reader.WORKSHOP`."""

import pytest

from tests.support.reader import ROOT, WORKSHOP, run_page


@pytest.mark.parametrize("page", sorted(WORKSHOP))
def test_all_that_a_page_shows_runs(place, page):
    run_page(ROOT / "docs" / page, place)
