"""Artifacts as doit tasks."""
