"""Artifacts as doit tasks: what each is made from, where it goes, and what makes it stale."""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pipeline import farm, hypervisor
from pipeline.doit_glue import (
    Catalogue,
    Tasks,
    artifacts,
    artifacts_on_request,
    is_up_to_date,
    path_variable,
    show_warnings,
    use,
    user_errors,
)
from pipeline.farm.model import Farm, TreeItem
from pipeline.material import templates
from pipeline.material.files import read
from pipeline.material.tree import walk
from pipeline.tasks import base, guest, header, host_keys, kernel, master, seed, single_file
from pipeline.tasks.site import Site


def load() -> Site:
    """The farm that the user's guest list describes, and the folder to build it in.

    They are guests.yaml and build/ beside dodo.py, or others: `doit guests=site.yaml build=/srv/farm`. Problems with
    the list are shown, and end doit; warnings do not. A list that was read before, and all that it depends on being the
    same, is read again only when more is needed than the names and states of artifacts.
    """
    path, build = path_variable("guests", "guests.yaml"), path_variable("build", "build").absolute()
    catalogue = Catalogue(build / "catalogue", (str(path), _digest(path), str(build)))
    files = [path]
    site = Site(partial(_load, path, build, files), build, _keys(path))
    if not catalogue.is_known and site.farm:
        catalogue.note_list(files, [*site.farm.warnings, *site.farm.driver_needs])
    show_warnings(master.warnings(site, catalogue.warnings))
    use(catalogue)
    return site


def _load(path: Path, build: Path, files: list[Path]) -> Farm:
    """The farm; `files` get what else was looked at to find mistakes."""

    def noted(file: Path) -> bytes:
        files.append(file)
        return read(file)

    def noted_tree(folder: Path) -> Sequence[TreeItem]:
        items = walk(folder)
        files.extend([folder, *(folder / item.path for item in items)])
        return items

    with user_errors():
        found = farm.load(path, hypervisors=hypervisor.INEXPRESSIBLE, read=noted, walk=noted_tree)
        needs = _needs(Site(found, build, _keys(path)))
        if needs:
            farm.load(path, needs, hypervisors=hypervisor.INEXPRESSIBLE, read=noted, walk=noted_tree)
        templates.check(found.guests.values())
        return found


def _keys(path: Path) -> Path:
    """The folder of SSH host keys, which are the user's own, as the list in the file `path` is."""
    return path.absolute().parent / "keys"


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _needs(site: Site) -> dict[str, int]:
    """What the masters need, in bytes, that are known and for which some root disk is too small."""
    small = {base.master.name for base in site.farm.bases if base.size < master.room(site, base.master)}
    return {
        artifact.name: master.room(site, site.farm.masters[artifact.name])
        for artifact in master.tasks(site)
        if artifact.name in small and is_up_to_date("master", artifact, site.build)
    }


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
