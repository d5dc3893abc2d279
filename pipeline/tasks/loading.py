"""Loads the site, and no more of its farm than is needed: all of it, guests that changed, one guest, or none at all."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from pipeline import guestlist, hypervisors
from pipeline.engine import Catalogue, check_misspelt, is_up_to_date, path_variable, show_warnings, use, user_errors
from pipeline.errors import GuestfarmError
from pipeline.guestlist.checks import warnings
from pipeline.guestlist.syntax import layout
from pipeline.inputs import templates
from pipeline.inputs.files import read
from pipeline.inputs.tree import walk
from pipeline.model.farm import Farm, Note
from pipeline.model.file import TreeItem
from pipeline.tasks import master
from pipeline.tasks.outline import Outline
from pipeline.tasks.site import Site


def load() -> Site:
    """The farm that the user's guest list describes, and the folder to build it in.

    They are guests.yaml and build/ beside dodo.py, or others: `doit guests=site.yaml build=/srv/farm`. Problems with
    the list are shown, and end doit; warnings do not. A list that was read before, and all that it depends on being the
    same, is read again only when more is needed than the names and states of artifacts, and then no further than that
    takes; one of which a few guests changed is read where they are.
    """
    guests, build = path_variable("guests", "guests.yaml"), path_variable("build", "build").absolute()
    check_misspelt()
    loading = _Loading(guests, build)
    catalogue = loading.catalogue
    if not catalogue.is_known and not loading.follow():
        notes: list[Note] = [*loading.farm.warnings, *loading.farm.driver_needs]
        catalogue.note_list(loading.files, notes, loading.site.outline)
    show_warnings(master.warnings(loading.site, catalogue.warnings))
    use(catalogue, loading.narrowed)
    return loading.site


class _Loading:
    """How the site is loaded."""

    def __init__(self, path: Path, build: Path) -> None:
        self._path = path
        self._build = build
        self.files: list[Path] = []
        """What was looked at to find mistakes, besides the list."""
        self._changed: Farm | None = None
        self._excerpts: dict[int, Farm] = {}
        with user_errors():
            self._text = guestlist.text_of(path)
        self.catalogue = Catalogue(build / "catalogue", (str(path), str(build)), self._text.encode())
        self.site = Site(lambda: self.farm, build, self._keys, self._text, self._outline)

    @cached_property
    def farm(self) -> Farm:
        """The farm, without mistakes: these are shown, and end doit."""
        with user_errors():
            return self._load(self._text)

    def follow(self) -> bool:
        """Read only those guests of the list that changed since it was read; whether that is enough."""
        before: Outline | None = self.catalogue.outline() if self.catalogue.is_related else None
        if before is None or before.layout is None:
            return False
        change = layout.change(before.text, before.layout, self._text)
        if change is None:
            return False
        try:
            excerpt = self._load(change.text)
        except GuestfarmError:  # it is told where the whole list is read
            return False
        notes = warnings.renewed(self.catalogue.warnings, (*excerpt.warnings, *excerpt.driver_needs), change)
        found = before.changed(self._text, change, excerpt)
        if notes is None or found is None:
            return False
        outline, names = found
        self._changed = excerpt
        self.site.outline = outline
        self.catalogue.note_change(self.files, notes, [row.standing.name for row in outline.rows], names, outline)
        return True

    @contextmanager
    def narrowed(self, guest: str | None) -> Iterator[bool]:
        """See doit_glue.use()."""
        excerpt = None if "farm" in self.__dict__ else self._excerpt(guest)
        if excerpt is None:
            yield False
            return
        with self.site.narrowed(excerpt):
            yield True

    def _excerpt(self, guest: str | None) -> Farm | None:
        """A farm with this guest, or those that have changed, in it."""
        if self._changed is not None and (guest is None or guest in self._changed.guests):
            return self._changed
        outline = self.site.outline
        entry = outline.entry_of(guest) if guest else 0
        if guest is None or outline.layout is None or entry is None:
            return None
        if entry not in self._excerpts:
            text = layout.excerpt(self._text, outline.layout, [entry])
            with suppress(GuestfarmError):  # as above
                self._excerpts[entry] = guestlist.load(self._path, text=text, hypervisors=hypervisors.INEXPRESSIBLE)
        return self._excerpts.get(entry)

    def _outline(self) -> Outline:
        known: Outline | None = self.catalogue.outline() if self.catalogue.is_known else None
        return known or Outline.of(self.farm, self._text)

    @property
    def _keys(self) -> Path:
        """The folder of SSH host keys, which are the user's own, as the list is."""
        return self._path.absolute().parent / "keys"

    def _load(self, text: str) -> Farm:
        found = self._read(text)
        needs = self._needs(Site(found, self._build, self._keys))
        if needs:
            self._read(text, needs)
        templates.check(found.guests.values())
        return found

    def _read(self, text: str, needs: dict[str, int] | None = None) -> Farm:
        return guestlist.load(
            self._path,
            needs or {},
            text=text,
            hypervisors=hypervisors.INEXPRESSIBLE,
            read=self._noted,
            walk=self._noted_tree,
        )

    def _noted(self, file: Path) -> bytes:
        self.files.append(file)
        return read(file)

    def _noted_tree(self, folder: Path) -> Sequence[TreeItem]:
        items = walk(folder)
        self.files.extend([folder, *(folder / item.path for item in items)])
        return items

    def _needs(self, site: Site) -> dict[str, int]:
        """What the masters need, in bytes, that are known and for which some root disk is too small."""
        small = {base.master.name for base in site.bases if base.size < master.room(site, base.master)}
        return {
            artifact.name: master.room(site, site.farm.masters[artifact.name])
            for artifact in master.tasks(site)
            if artifact.name in small and is_up_to_date("master", artifact, site.build)
        }
