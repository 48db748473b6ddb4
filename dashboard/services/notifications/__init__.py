"""What a registry notifies: received and stored at once (`receive`), used by the worker (`process`).

Notifications are hints. Pushes and deletions make us read the repositories again (and are kept with who, when and from
where, `changes`); pulls are counted (`pulls`). Nothing here believes that a tag points to what an event says.
"""
