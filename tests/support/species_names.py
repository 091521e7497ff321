"""Hypothesis strategy of species names as sources write them."""

from hypothesis import strategies as st

_PARTS = st.sampled_from([
    "Naja", "naja", "NAJA", "N.", "crotalus-viridis", "c-album", "(Linnaeus,", "1758)", "(Naja)",
    "Laurenti,", "L.", "&", "de", "cf.", "CF", "aff.", "sp", "spp.", "?", "x", "X", "×", "×naja",
    "subsp.", "var.", "complex", "s.l.", "snake", "d'orbignyi", "é", "İx", "ß", "_", "-", "2", ",",
])  # fmt: skip
NAMES = st.lists(_PARTS, max_size=6).map(" ".join) | st.text(max_size=20)
