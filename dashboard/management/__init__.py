"""Commands: thin entry points."""
