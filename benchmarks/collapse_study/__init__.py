"""Parts of the collapse study; ``benchmarks/collapse.py`` is the command."""
