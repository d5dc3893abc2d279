"""Artifacts as doit tasks: what each is made from, where it goes, and what makes it stale."""

from pipeline.engine import Tasks, artifacts, artifacts_on_request
from pipeline.tasks import base, guest, header, host_keys, kernel, master, seed, single_file
from pipeline.tasks.loading import load
from pipeline.tasks.site import Site

__all__ = [
    "Site",
    "Tasks",
    "artifacts",
    "artifacts_on_request",
    "base",
    "guest",
    "header",
    "host_keys",
    "kernel",
    "load",
    "master",
    "seed",
    "single_file",
]
