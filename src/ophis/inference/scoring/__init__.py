"""Scores of many photos, in one process or many, with resume."""
