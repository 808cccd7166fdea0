"""What is made of finished runs: comparisons, pages, drawings. Reads run folders; trains nothing."""
