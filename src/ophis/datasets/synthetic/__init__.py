"""Drawn sample photos: something to train and try on where nobody has a photo yet."""

from ophis.datasets.synthetic.folder import draw_sample
from ophis.datasets.synthetic.species import SAMPLE_SPECIES

__all__ = ["SAMPLE_SPECIES", "draw_sample"]
