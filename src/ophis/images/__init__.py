"""Photos from untrusted bytes to the network's input: checks, decoding, orientation, preprocessing.

Handles bytes and pixels; has no access to species, places, models or torch.
"""
