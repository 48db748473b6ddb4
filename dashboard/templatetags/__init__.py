"""Template tags: pure formatting."""
