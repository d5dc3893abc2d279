"""Masters: one module for each kind of source of a root file system."""
