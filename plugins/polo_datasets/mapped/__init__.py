"""Interactions whose columns lie on the disk: read by batches, sorted by parts, and mapped into memory."""
