"""How a model is made: the one door to torch."""

from ophis.train.export.bundle import Retest, export
from ophis.train.export.imagenet17 import export_imagenet17
from ophis.train.loop import fit
from ophis.train.stop import Stopped

__all__ = ["Retest", "Stopped", "export", "export_imagenet17", "fit"]
