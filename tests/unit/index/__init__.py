"""The index: how readings become rows, and that they do so whatever happens meanwhile."""
