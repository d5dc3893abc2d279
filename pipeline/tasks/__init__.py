"""Artifacts as doit tasks: what each is made from, where it goes, and what makes it stale."""

from collections.abc import Mapping
from pathlib import Path

from pipeline import farm, hypervisor
from pipeline.doit_glue import Tasks, artifacts, is_up_to_date, path_variable, show_warnings, user_errors
from pipeline.farm.model import Farm
from pipeline.material.files import read
from pipeline.tasks import base, guest, kernel, master
from pipeline.tasks.site import Site


def load() -> Site:
    """The farm that the user's guest list describes, and the folder to build it in.

    They are guests.yaml and build/ beside dodo.py, or others: `doit guests=site.yaml build=/srv/farm`. Problems with
    the list are shown, and end doit; warnings do not.
    """
    path = path_variable("guests", "guests.yaml")
    with user_errors():
        site = Site(_farm(path, {}), path_variable("build", "build").absolute())
        needs = _needs(site)
        if needs:
            _farm(path, needs)
        show_warnings(site.farm.warnings)
        return site


def _farm(path: Path, needs: Mapping[str, int]) -> Farm:
    return farm.load(path, needs, hypervisors=hypervisor.INEXPRESSIBLE, read=read)


def _needs(site: Site) -> dict[str, int]:
    """What the masters need, in bytes, that are known and for which some root disk is too small."""
    small = {base.master.name for base in site.farm.bases if base.size < master.room(site, base.master)}
    return {
        artifact.name: master.room(site, site.farm.masters[artifact.name])
        for artifact in master.tasks(site)
        if artifact.name in small and is_up_to_date("master", artifact, site.build)
    }


__all__ = ["Site", "Tasks", "artifacts", "base", "guest", "kernel", "load", "master"]
