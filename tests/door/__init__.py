"""Tests of the Python door."""
