"""Parts of the benchmark of embedding recommenders."""
