"""Scoring of many photos into a file, in one process or with Ray, with resume.

Knows classifiers and manifests; knows neither the terminal nor what is done with the scores.
"""

from ophis.inference.scoring.scores_file import score

__all__ = ["score"]
