"""What ``benchmarks/ladder.py`` is made of: cells, how one is run, processes, tables."""
