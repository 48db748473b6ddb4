"""The registry's HTTP API: references, media types, manifests, wire formats, authentication, errors and the client.

Pure: the standard library and httpx, no Django. Formats follow the OCI distribution spec 1.1, the OCI image spec 1.1
and what CNCF Distribution 2.8 and 3.x really answer.
"""
