"""Loss heads, one a file."""
