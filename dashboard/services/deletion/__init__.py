"""Deleting rightly: choose, plan, confirm, execute, read back; and finishing what a crash left.

`choice` says what was chosen. `survey` reads what a repository's tags and live indexes need, `referrers` what belongs
to what goes, `weigh` what a collection frees; `plan` makes of it the `effect` that a person confirms, as a row.
`execute` begins it, `carry_out` goes through its items, `steps` is the machine of one item, each step idempotent and
written down before it is sent, `throwaway` the manifest that untags where a registry deletes by digest only. `lease`
keeps it to one worker, `recover` takes up what nobody works on, `aftermath` follows. docs/deletion.md tells the whole.
"""
