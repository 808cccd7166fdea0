"""Checks of data and protocol before anybody believes a number."""
