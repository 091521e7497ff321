"""Countries, borders, and the place where a photo was taken.

Handles names, ISO codes and coordinates; stores no position, and has no access to species.
"""
