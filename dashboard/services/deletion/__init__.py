"""Deleting one tag rightly: survey, plan, confirm, execute, read back; and finishing what a crash left.

`survey` reads what a repository's tags and live indexes need. `plan` makes of it the row that a person confirms.
`throwaway` builds the manifest that untags on registries which delete by digest only. `steps` is the machine that
carries a deletion out, each step idempotent and written down before it is sent. `execute` starts it, `recover` takes it
up again. docs/deletion.md tells the whole.
"""
