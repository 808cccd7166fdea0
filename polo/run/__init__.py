"""From a resolved recipe to a finished run."""
