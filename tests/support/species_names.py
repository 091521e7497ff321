"""Hypothesis strategy of species names as sources write them, and a filter of those in one form."""

from hypothesis import strategies as st

from ophis import InputError
from ophis.taxonomy.spelling import species_name


def is_species_name(text: str) -> bool:
    """Return True for a name that readers keep unchanged."""
    try:
        return bool(text) and species_name(text) == text
    except InputError:
        return False


_PARTS = st.sampled_from([
    "Naja", "naja", "NAJA", "N.", "crotalus-viridis", "c-album", "(Linnaeus,", "1758)", "(Naja)",
    "Laurenti,", "L.", "&", "de", "cf.", "CF", "aff.", "sp", "spp.", "?", "x", "X", "×", "×naja",
    "subsp.", "var.", "complex", "s.l.", "snake", "d'orbignyi", "é", "İx", "ß", "_", "-", "2", ",",
])  # fmt: skip
NAMES = st.lists(_PARTS, max_size=6).map(" ".join) | st.text(max_size=20)
