"""From a resolved recipe to a finished run. One file per step of the way; ``run.py`` is where to start reading."""
