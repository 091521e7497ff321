"""Submission files of the SnakeCLEF challenges: writing and checking.

Reads scores and bundles. Does not depend on torch or on the command line.
"""
