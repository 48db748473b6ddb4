"""What happened: the audit, what registries notified and what was pulled, as one stream, the newest first.

`asked` is a filter and a place in the stream, `seen` what somebody may see of it, `rows` the three tables as queries,
`stream` puts them together. Beside them: who pushed what (`pushers`), signing in (`sign_ins`), pruning (`prune`).
"""
