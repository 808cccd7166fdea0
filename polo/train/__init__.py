"""Training: one step, the loop of a stage, its numbers, checkpoints."""
