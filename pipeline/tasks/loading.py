"""Loads the site: the guest list is read only where something changed, or is to be built."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from pipeline import guestlist, hypervisors
from pipeline.engine import (
    Catalogue,
    check_misspelt,
    is_up_to_date,
    located,
    path_variable,
    show_warnings,
    use,
    user_errors,
)
from pipeline.inputs import templates
from pipeline.inputs.files import read
from pipeline.inputs.tree import walk
from pipeline.model.farm import Farm, Note
from pipeline.model.file import TreeItem
from pipeline.tasks import master, ownership, recorded_inputs
from pipeline.tasks.site import Site


def load() -> Site:
    """The farm that the user's guest list describes, and the folder to build it in.

    They are guests.yaml and build/ beside dodo.py, or others: `doit guests=site.yaml build=/srv/farm`. SSH host keys
    are in keys/ beside the list, or another folder: `doit keys=/srv/keys`. Problems with the list are shown, and end
    doit, and so does a folder that is another farm's; warnings do not. A list that was read before, all that it
    depends on being the same, is read again only when something is to be built.
    """
    path, build = path_variable("guests", "guests.yaml"), path_variable("build", "build").absolute()
    keys = path_variable("keys", str(path.absolute().parent / "keys")).absolute()
    check_misspelt()
    loading = _Loading(path, build, keys)
    catalogue = loading.catalogue
    if not catalogue.is_known:
        notes: list[Note] = [*loading.farm.warnings, *loading.farm.driver_needs]
        catalogue.note_list(loading.farm.name, loading.files, notes)
    with user_errors():
        ownership.check(loading.site, catalogue.farm)
    show_warnings(master.warnings(loading.site, catalogue.warnings))
    use(catalogue)
    return loading.site


class _Loading:
    """How the site is loaded."""

    def __init__(self, path: Path, build: Path, keys: Path) -> None:
        self._path = path
        located(path.absolute().parent)
        self._keys = keys
        """The folder of SSH host keys, which are the user's own, as the list is."""
        self._build = build
        self.files: dict[Path, tuple[int, ...] | None] = {}
        """What was looked at to find mistakes, besides the list, each as it was before that."""
        with user_errors():
            self._text = guestlist.text_of(path)
        self.catalogue = Catalogue(build / "catalogue", (str(path), str(build), str(keys)), self._text.encode())
        self.site = Site(lambda: self.farm, build, self._keys)

    @cached_property
    def farm(self) -> Farm:
        """The farm, without mistakes: these are shown, and end doit."""
        with user_errors():
            return self._load()

    def _load(self) -> Farm:
        found = self._read()
        needs = self._needs(Site(found, self._build, self._keys))
        if needs:
            self._read(needs)
        templates.check(found.guests.values(), recorded_inputs.note_templates)
        return found

    def _read(self, needs: dict[str, int] | None = None) -> Farm:
        return guestlist.load(
            self._path,
            needs or {},
            text=self._text,
            hypervisors=hypervisors.BY_NAME,
            read=self._noted,
            walk=self._noted_tree,
        )

    def _noted(self, file: Path) -> bytes:
        self._note(file)
        return read(file)

    def _noted_tree(self, folder: Path) -> Sequence[TreeItem]:
        items = walk(folder)
        for path in (folder, *(folder / item.path for item in items)):
            self._note(path)
        return items

    def _note(self, path: Path) -> None:
        if path not in self.files:
            self.files[path] = Catalogue.stamp(path)

    def _needs(self, site: Site) -> dict[str, int]:
        """What the masters need, in bytes, that are known and for which some root disk is too small."""
        small = {base.master.name for base in site.bases if base.size < master.room(site, base.master)}
        return {
            artifact.name: master.room(site, site.farm.masters[artifact.name])
            for artifact in master.tasks(site)
            if artifact.name in small and is_up_to_date("master", artifact, site.build)
        }
