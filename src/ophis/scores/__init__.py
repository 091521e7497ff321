"""Scores of photos: logits with photo id, true species, place and observation.

NumPy only; knows no model.
"""
