"""Metrics, comparison of models, and reports.

Reads scores and run folders. Does not load a model.
"""
