"""What is on disk: whole files, run folders, provenance."""
