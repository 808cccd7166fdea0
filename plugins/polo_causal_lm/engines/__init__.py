"""Ways to lay out prompts and candidates in a forward pass, all with the same log-probabilities."""
