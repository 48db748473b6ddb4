"""The registry client, part by part."""
