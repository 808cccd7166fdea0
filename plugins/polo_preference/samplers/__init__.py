"""Negative samplers, one a file."""
