"""Parts of the step benchmark; ``benchmarks/step.py`` is the command."""
