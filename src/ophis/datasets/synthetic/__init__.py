"""Synthetic photos of invented snakes, to try training and every command without a download.

Draws pixels and writes a sample folder with its manifest; has no models.
"""

from ophis.datasets.synthetic.sample_folder import sample
from ophis.datasets.synthetic.species import SAMPLE_SPECIES

__all__ = ["SAMPLE_SPECIES", "sample"]
