"""Commands and code of the longer pages of docs/; see `docs_pages.WORKSHOP`."""

import pytest

from tests.support.docs_pages import ROOT, WORKSHOP, run_page


@pytest.mark.parametrize("page", sorted(WORKSHOP))
def test_page_runs(place, page):
    run_page(ROOT / "docs" / page, place)
