"""The registry's storage directory: its layout, a scan of it, and the accounting of every byte.

Pure: the standard library and the value types of `dashboard.registry`, never its client; no Django.
"""
