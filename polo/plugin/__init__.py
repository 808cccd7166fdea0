"""Plugins: what they declare, how they are found, loaded and checked."""
