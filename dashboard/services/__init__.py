"""Use cases: what the dashboard does, as functions with keyword-only arguments over models, client and disk."""
