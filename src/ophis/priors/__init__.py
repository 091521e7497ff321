"""Species probabilities given a place, and their product with the image.

Knows scores and places; knows neither pixels nor models.
"""
