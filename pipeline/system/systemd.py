"""systemd's units enabled, disabled and masked by their symlinks, as systemctl --root would: systemctl(1)."""

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.errors import MasterError, quoted
from pipeline.farm import unit_names
from pipeline.farm.model.guest import Guest
from pipeline.farm.model.role import Units
from pipeline.farm.readers import did_you_mean
from pipeline.image.layer import Entry, Metadata, Removal, Symlink
from pipeline.image.overlay import Overlay
from pipeline.system.distribution import Distribution
from pipeline.system.faults import Faults
from pipeline.system.unit_files import Install, expanded, parse

_OWN = "etc/systemd/system"
_VENDORS = ("usr/lib/systemd/system", "lib/systemd/system")
_LINK = Metadata(mode=0o777)
_SYMLINKS_FOLLOWED = 64


def entries(guest: Guest, tree: Overlay, system: Distribution) -> Iterator[Entry]:
    """The symlinks that are to come and to go. Raises MasterError for all that systemctl would refuse."""
    wanted = states(guest)
    links, faults = Links(tree), Faults()
    for verb, act in (("disabled", links.disable), ("enabled", links.enable), ("masked", links.mask)):
        for name in sorted(wanted):
            state, owner = wanted[name]
            if state == verb:
                with faults.of(f"{owner}: unit {quoted(name)}"):
                    if not system.systemd:
                        raise MasterError("there is no systemd in the master", "remove units:")
                    act(name)
    faults.tell()
    yield from links.layer


def states(guest: Guest) -> dict[str, tuple[str, str]]:
    """What becomes of units by their names, and whose wish that is: the last one's, and at last the guest's own."""
    found: dict[str, tuple[str, str]] = {}
    owners: list[tuple[str, Units]] = [(f"role {quoted(role.name)}", role.units) for role in guest.roles]
    for owner, units in [*owners, (f"guest {quoted(guest.name)}", guest.units)]:
        for names, state in ((units.enable, "enabled"), (units.disable, "disabled"), (units.mask, "masked")):
            found.update(dict.fromkeys(names, (state, owner)))
    return found


@dataclass(frozen=True, slots=True)
class _Unit:
    name: str
    path: str
    """Of its file, relative to the root."""
    install: Install | None
    """None for one that is masked."""


class Links:
    """The symlinks in /etc/systemd/system; `layer` has what was changed."""

    def __init__(self, tree: Overlay) -> None:
        self._tree = tree
        self._search = (_OWN, "usr/local/lib/systemd/system", *_vendors(tree))
        self.layer: list[Entry] = []

    def enable(self, name: str) -> None:
        """Do what the [Install] section of the unit asks for. Raises MasterError if it is missing or masked."""
        pending, done = [(name, True)], set[str]()
        while pending:
            asked, by_name = pending.pop(0)
            unit = self._find(asked)
            if unit is None and by_name:
                raise self._missing(asked)
            if unit is not None and by_name and unit.name != asked and self._tree.readlink(f"{_OWN}/{asked}"):
                raise MasterError(f"it is an alias of {unit.name} that was made by hand", f"enable {unit.name}")
            if unit is None or unit.name in done:
                continue
            done.add(unit.name)
            if unit.install is None and by_name:
                raise MasterError("it is masked", "disable: or enable: does not undo that; change the master")
            if unit.install is not None:
                self._install(unit, unit.install)
                pending += [(expanded(also, unit.name), False) for also in unit.install.also]

    def disable(self, name: str) -> None:
        """Remove the symlinks to the unit, and to what it has enabled with it; there may be none."""
        pending, done, doomed = [(name, True)], set[str](), set[str]()
        while pending:
            asked, by_name = pending.pop(0)
            unit = self._find(asked)
            if asked in done or (unit is None and not by_name):
                continue
            done.add(asked)
            if unit is None:
                doomed.add(asked)
            elif unit.install is not None:
                doomed.add(unit.name)
                pending += [(expanded(also, unit.name), False) for also in unit.install.also]
        while self._remove_one(_OWN, doomed):
            pass

    def mask(self, name: str) -> None:
        """Have the unit lead to /dev/null, whether there is one or not."""
        self._link("dev/null", f"{_OWN}/{name}", replace=False)

    def _find(self, name: str) -> _Unit | None:
        for _ in range(_SYMLINKS_FOLLOWED):
            path = self._path(name)
            if path is None:
                return None
            real = self._tree.resolve(path)
            if real == "dev/null" or (self._tree.exists(path) and not self._tree.read(path)):
                return _Unit(name, path, None)
            last = real.rpartition("/")[2]
            own_names = (name, unit_names.template(name))
            if self._tree.readlink(path) is None or last in own_names:
                linked = self._tree.readlink(path) is not None
                if linked and not self._tree.exists(path):
                    return None
                return _Unit(name, real if linked else path, parse(self._texts(name, path)))
            # An alias: it is the other unit that counts.
            instance = unit_names.instance(name)
            if not unit_names.is_valid(last):
                return None
            name = unit_names.with_instance(last, instance) if instance and unit_names.instance(last) == "" else last
        return None

    def _path(self, name: str) -> str | None:
        for candidate in filter(None, (name, unit_names.template(name))):
            for folder in self._search:
                mode = self._tree.mode(f"{folder}/{candidate}")
                if mode is not None and not stat.S_ISDIR(mode):
                    return f"{folder}/{candidate}"
        return None

    def _texts(self, name: str, path: str) -> Iterator[str]:
        """What is in the unit's file, and in those that are dropped in."""
        yield self._tree.read(path).decode(errors="replace")
        found: dict[str, str] = {}
        for candidate in filter(None, (name, unit_names.template(name))):
            for folder in self._search:
                for each in self._tree.names(f"{folder}/{candidate}.d"):
                    found.setdefault(each, f"{folder}/{candidate}.d/{each}")
        for each in sorted(found):
            if each.endswith(".conf") and self._tree.exists(found[each]):
                yield self._tree.read(found[each]).decode(errors="replace")

    def _install(self, unit: _Unit, install: Install) -> None:
        for each in install.alias if unit_names.type_of(unit.name) in unit_names.WITH_ALIASES else ():
            self._alias(unit, expanded(each, unit.name, install.default_instance))
        name = unit.name
        if unit_names.instance(name) == "" and install.default_instance:
            name = unit_names.with_instance(name, expanded(install.default_instance, name))
            instance = self._find(name)
            if instance is None or instance.install is None:
                raise MasterError(f"{name}, its default instance, is masked", "enable another instance")
        for kind in ("wants", "requires", "upholds"):
            for each in getattr(install, kind):
                target = expanded(each, unit.name, install.default_instance)
                if not unit_names.is_valid(target):
                    raise MasterError(f"[Install] has {quoted(target)}, which is no name of a unit")
                if unit_names.instance(name) == "" and unit_names.instance(target) is None:
                    raise MasterError("it is a template without a default instance", "name an instance, as x@y.service")
                self._link(unit.path, f"{_OWN}/{target}.{kind}/{name}", replace=True)

    def _alias(self, unit: _Unit, alias: str) -> None:
        folder, _, last = alias.rpartition("/")
        instance = unit_names.instance(unit.name)
        if instance and unit_names.instance(last) == "":
            last = unit_names.with_instance(last, instance)
        if last == unit.name and not folder:
            return
        target, _, kind = folder.rpartition(".")
        in_place = not folder or (kind in ("wants", "requires") and unit_names.is_valid(target))
        if not in_place or not unit_names.may_be_alias(last, unit.name):
            raise MasterError(f"[Install] has the alias {quoted(alias)}, which it cannot have")
        path = f"{_OWN}/{folder}/{last}" if folder else f"{_OWN}/{last}"
        self._link(unit.path, path, replace=False)

    def _link(self, target: str, path: str, *, replace: bool) -> None:
        there = self._tree.readlink(path)
        if there is not None and self._tree.resolve(path) == self._tree.resolve(target):
            return
        if self._tree.mode(path) is not None and (there is None or not replace):
            what = f"is a symlink to {there}" if there is not None else "is no symlink"
            raise MasterError(f"/{path} is there already, and {what}", "remove it in the master, or by absent: true")
        self._change(Symlink(self._tree.place(path), _LINK, f"/{target}"))

    def _remove_one(self, folder: str, doomed: set[str]) -> bool:
        """Remove the symlinks in `folder` that lead to what is `doomed`, or are called so; whether there was one."""
        found = False
        for name in self._tree.names(folder):
            path = f"{folder}/{name}"
            if stat.S_ISDIR(self._tree.mode(path) or 0):
                found = self._remove_one(path, doomed) or found
                continue
            if self._tree.readlink(path) is None or not unit_names.is_valid(name):
                continue
            real = self._tree.resolve(path)
            template = unit_names.template(name)
            if doomed.isdisjoint({name, f"/{real}", real.rpartition("/")[2], *([template] if template else [])}):
                continue
            self._change(Removal(self._tree.place(path)))
            doomed.add(f"/{path}")
            found = True
        if found and folder != _OWN and not self._tree.names(folder):
            self._change(Removal(self._tree.place(folder)))
        return found

    def _change(self, entry: Entry) -> None:
        self._tree.add(entry)
        self.layer.append(entry)

    def _missing(self, name: str) -> MasterError:
        known = sorted({unit for folder in self._search for unit in self._tree.names(folder) if "." in unit})
        if self._tree.exists(f"etc/init.d/{name.removesuffix('.service')}"):
            return MasterError("the master has an init script of that name, and no unit", "enable it in the master")
        return MasterError("there is no such unit", _meant(name, known))


def _meant(name: str, known: Iterable[str]) -> str:
    close = [unit for unit in known if unit[:1] == name[:1]]
    return did_you_mean(name, close) or "install in the master what brings it"


def _vendors(tree: Overlay) -> tuple[str, ...]:
    """Where packages have their units, first as the master's own symlinks say it: both are one where /usr is merged."""
    for folder in tree.names(_OWN):
        for name in tree.names(f"{_OWN}/{folder}") if folder.endswith(".wants") else ():
            if (tree.readlink(f"{_OWN}/{folder}/{name}") or "").startswith("/lib/systemd/system/"):
                return _VENDORS[::-1]
    return _VENDORS
