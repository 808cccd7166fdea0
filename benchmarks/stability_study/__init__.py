"""Parts of the stability study; ``benchmarks/stability.py`` is the command."""
