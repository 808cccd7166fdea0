"""Many runs of one recipe: its seeds, and sweeps over its settings."""
