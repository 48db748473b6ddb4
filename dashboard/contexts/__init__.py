"""View models: what a page shows, formatted, with its links and the actions that this person may take."""
