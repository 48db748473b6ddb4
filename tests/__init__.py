"""All tests: unit, views, contract, e2e, meta, and what they share."""
