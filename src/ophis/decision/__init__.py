"""From probabilities to an answer: calibration, conformal sets, out-of-distribution score, rule.

Knows scores and priors; knows neither pixels nor models.
"""
