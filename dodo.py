"""The tasks of the farm in this folder, which pipeline/dodo.py lists in the order in which a guest comes to be."""

from pipeline.dodo import *  # noqa: F403  # doit finds tasks by their names here
