"""From scores to results: metrics, slices, significance, recommending."""
