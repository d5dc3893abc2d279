"""Where systemd finds units, and what they are: systemd.unit(5)."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import ImageError
from pipeline.guestos.unit_files import Install, parse
from pipeline.image.layer.overlay import Overlay
from pipeline.model import unit_names

OWN = "etc/systemd/system"
"""Where the administrator's units are, and symlinks to those that are enabled."""
_VENDORS = ("usr/lib/systemd/system", "lib/systemd/system")
_SYMLINKS_FOLLOWED = 64


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that was found."""

    name: str
    path: str
    """Of its file, relative to the root."""
    install: Install | None
    """None for one that is masked."""


class Search:
    """The units of a tree."""

    def __init__(self, tree: Overlay) -> None:
        self._tree = tree
        self.folders = (OWN, "usr/local/lib/systemd/system", *_vendors(tree))

    def find(self, name: str) -> Unit | None:
        """The unit of that name, aliases followed; None if there is none."""
        for _ in range(_SYMLINKS_FOLLOWED):
            path = self._path(name) or ""
            real = self.real(path)
            if not real:
                return None
            if real == "dev/null" or (self._tree.exists(path) and not self._tree.read(path)):
                return Unit(name, path, None)
            last = real.rpartition("/")[2]
            own_names = (name, unit_names.template(name))
            if self._tree.readlink(path) is None or last in own_names:
                linked = self._tree.readlink(path) is not None
                if linked and not self._tree.exists(path):
                    return None
                return Unit(name, real if linked else path, parse(self._texts(name, path)))
            # An alias: it is the other unit that counts.
            instance = unit_names.instance(name)
            if not unit_names.is_valid(last):
                return None
            name = unit_names.with_instance(last, instance) if instance and unit_names.instance(last) == "" else last
        return None

    def made_by_hand(self, name: str) -> str:
        """The unit that a symlink called `name` leads to, and that is found without it; empty if there is none."""
        path = self._path(name) or ""
        there, _, last = self.real(path).rpartition("/")
        is_own_link = path.startswith(f"{OWN}/") and self._tree.readlink(path) is not None
        return last if is_own_link and there in self.folders else ""

    def real(self, path: str) -> str:
        """Where `path` leads; nowhere if it leads in circles, as whoever made it by hand may not have noticed."""
        try:
            return self._tree.resolve(path)
        except ImageError:
            return ""

    def _path(self, name: str) -> str | None:
        for candidate in filter(None, (name, unit_names.template(name))):
            for folder in self.folders:
                mode = self._tree.mode(f"{folder}/{candidate}")
                if mode is not None and not stat.S_ISDIR(mode):
                    return f"{folder}/{candidate}"
        return None

    def _texts(self, name: str, path: str) -> Iterator[str]:
        """What is in the unit's file, and in those that are dropped in."""
        yield self._tree.read(path).decode(errors="replace")
        found: dict[str, str] = {}
        for candidate in filter(None, (name, unit_names.template(name))):
            for folder in self.folders:
                for each in self._tree.names(f"{folder}/{candidate}.d"):
                    found.setdefault(each, f"{folder}/{candidate}.d/{each}")
        for each in sorted(found):
            if each.endswith(".conf") and self._tree.exists(found[each]):
                yield self._tree.read(found[each]).decode(errors="replace")


def _vendors(tree: Overlay) -> tuple[str, ...]:
    """Where packages have their units, first as the master's own symlinks say it: both are one where /usr is merged."""
    for folder in tree.names(OWN):
        for name in tree.names(f"{OWN}/{folder}") if folder.endswith(".wants") else ():
            if (tree.readlink(f"{OWN}/{folder}/{name}") or "").startswith("/lib/systemd/system/"):
                return _VENDORS[::-1]
    return _VENDORS
