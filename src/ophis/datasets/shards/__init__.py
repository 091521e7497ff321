"""Photos decoded and resized once, in tar shards with an index.

Knows files and pixels; knows no model.
"""
