"""What a registry notifies: received and stored at once (`receive`), used by the worker (`process`, `pulls`).

Notifications are hints. Pushes and deletions make us read the repositories again; of pulls is taken who, when and from
where. Nothing here believes that a tag points to what an event says.
"""
