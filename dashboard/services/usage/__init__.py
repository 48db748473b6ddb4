"""What scans of the storage found: scans as jobs, their rows, and what the pages ask of them.

`scans` runs them and `rows` keeps what they found; `lists`, `map`, `growth`, `makers` and `overview` read it;
`duplicates` finds layers that are stored several times.
"""
