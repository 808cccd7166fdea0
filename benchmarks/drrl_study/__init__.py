"""DrRL and its relatives on sets of items, each searched with the same budget. The program is benchmarks/drrl.py."""
