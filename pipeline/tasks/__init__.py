"""Artifacts as doit tasks: what each is made from, where it goes, and what makes it stale."""

from pipeline import farm
from pipeline.doit_glue import Tasks, path_variable, user_errors
from pipeline.tasks import base, guest, kernel, master
from pipeline.tasks.site import Site


def load() -> Site:
    """The farm that the user's guest list describes, and the folder to build it in.

    They are guests.yaml and build/ beside dodo.py, or others: `doit guests=site.yaml build=/srv/farm`. Problems with
    the list are shown, and end doit.
    """
    with user_errors():
        return Site(farm.load(path_variable("guests", "guests.yaml")), path_variable("build", "build"))


__all__ = ["Site", "Tasks", "base", "guest", "kernel", "load", "master"]
