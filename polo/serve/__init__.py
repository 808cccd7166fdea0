"""A trained run behind HTTP: questions checked, gathered and answered. Only ``app`` and ``server`` know the web."""
