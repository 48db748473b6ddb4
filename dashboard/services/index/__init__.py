"""The index: reading a registry, writing what was read, and asking it.

`readings` says what a reading is; `storage_reader` and `api_reader` make them; `documents` turns manifests into rows;
`write` applies readings; `update` and `refresh` are the two occasions; `mount` judges whether a mounted storage is the
registry's; `lists` and `search` are the queries that pages show.
"""
