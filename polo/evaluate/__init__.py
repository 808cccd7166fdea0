"""From scores to results: metrics, slices, significance, recommending."""

from polo.called import called

called(__name__)
