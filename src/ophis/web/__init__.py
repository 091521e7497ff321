"""The static page and its export as files.

Knows bundles; knows no server.
"""
