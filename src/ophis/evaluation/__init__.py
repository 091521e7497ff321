"""Metrics, comparison of models, and reports.

Knows scores and run folders; knows no network.
"""
