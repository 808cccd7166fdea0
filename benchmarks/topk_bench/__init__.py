"""Parts of the benchmark of exact top-K."""
