"""Pages as Django's client gets them, from a registry that the fake plays."""
