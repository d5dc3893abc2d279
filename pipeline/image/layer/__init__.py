"""Layers: lists of files that go into a file system, and where they come from."""
