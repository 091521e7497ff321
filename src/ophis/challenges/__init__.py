"""Submission files of the SnakeCLEF challenges, and their check.

Knows bundles and scores; knows neither torch nor the terminal.
"""
