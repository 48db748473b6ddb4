"""One suite for the real registries and the fake."""
