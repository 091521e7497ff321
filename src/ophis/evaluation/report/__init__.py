"""HTML report of a comparison, with figures and example photos.

Reads comparisons and run folders. Does not load a model: saliency maps are passed in.
"""
