"""Countries, borders, and the place of a photo.

Knows names, codes and coordinates; keeps no position.
"""
