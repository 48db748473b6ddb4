"""The trash: what was deleted here and can be brought back until the registry's next garbage collection.

`kept` finds what is in it, `outlook` whether the registry would take it back, `restore` puts it back.
"""
