"""What is made of finished runs: significance, comparisons, reports. Reads run folders; trains nothing."""
