"""Tests of the example plugins."""
