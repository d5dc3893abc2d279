"""Artifacts as doit tasks: what each is made from, where it goes, and what makes it stale."""
