"""Base ``tiny_lm``: a small language model made from the training split."""
