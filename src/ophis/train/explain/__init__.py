"""Saliency maps of networks, and of the photos on which two models differ most.

It knows torch networks, run folders and comparisons. It does not know how a report is drawn.
"""

from ophis.train.explain.discrepancies import explain, explain_runs
from ophis.train.explain.saliency import Method, concentration, mass_inside, saliency

__all__ = ["Method", "concentration", "explain", "explain_runs", "mass_inside", "saliency"]
