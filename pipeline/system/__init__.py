"""The guest's own operating system: the files that give a root disk its identity."""
