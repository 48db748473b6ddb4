"""Garbage collections: what the next one would do, running one by the command of this installation, noticing others."""
