"""Photos as bytes and pixels: formats, checks, decoding, orientation, preprocessing.

Knows pixels; knows neither species nor models.
"""
