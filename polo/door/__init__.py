"""The Python door: what a notebook calls, and what it gets back."""
