"""What people type: `account` of themselves, `people` of others, `registries` and `rules` of administrators."""
