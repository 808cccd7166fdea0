"""A policy in use: passes, scores, the reference, weights."""
