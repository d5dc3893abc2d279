"""systemd's units enabled, disabled and masked by their symlinks, as systemctl --root would: systemctl(1)."""

import stat
from collections.abc import Iterable, Iterator

from pipeline.errors import MasterError, did_you_mean, quoted
from pipeline.guestos.distribution import Distribution
from pipeline.guestos.errors import Faults
from pipeline.guestos.unit_files import Install, expanded
from pipeline.guestos.unit_search import OWN, Search, Unit
from pipeline.image.layer.entries import Entry, Metadata, Removal, Symlink
from pipeline.image.layer.overlay import Overlay
from pipeline.model import unit_names
from pipeline.model.guest import Guest
from pipeline.model.role import Units

_LINK = Metadata(mode=0o777)


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


class Links:
    """The symlinks in /etc/systemd/system; `layer` has what was changed."""

    def __init__(self, tree: Overlay) -> None:
        self._tree = tree
        self._search = Search(tree)
        self.layer: list[Entry] = []

    def enable(self, name: str) -> None:
        """Do what the [Install] section of the unit asks for. Raises MasterError if it is missing or masked."""
        pending, done = [(name, True)], set[str]()
        while pending:
            asked, by_name = pending.pop(0)
            unit = self._search.find(asked)
            if unit is None and by_name:
                raise self._missing(asked)
            if unit is not None and unit.install is None and by_name:
                raise MasterError("it is masked", "disable: or enable: does not undo that; change the master")
            if unit is None or unit.name in done:
                continue
            by_hand = self._search.made_by_hand(asked)
            if by_hand and by_name and not self._is_instance(asked, by_hand):
                raise MasterError(f"it is a symlink to {by_hand} that was made by hand", f"enable {by_hand}")
            if by_hand and not by_name:
                continue
            done.add(unit.name)
            if unit.install is not None:
                self._install(unit, unit.install)
                pending += [(expanded(also, unit.name), False) for also in unit.install.also]

    def disable(self, name: str) -> None:
        """Remove the symlinks to the unit, and to what it has enabled with it; there may be none."""
        pending, done, doomed = [name], set[str](), set[str]()
        while pending:
            asked = pending.pop(0)
            unit = self._search.find(asked)
            if asked in done:
                continue
            done.add(asked)
            if unit is None:
                doomed.add(asked)
            elif unit.install is not None:
                doomed.add(unit.name)
                pending += [expanded(also, unit.name) for also in unit.install.also]
        while self._remove_one(OWN, doomed):
            pass

    def mask(self, name: str) -> None:
        """Have the unit lead to /dev/null, whether there is one or not."""
        self._link("dev/null", f"{OWN}/{name}", replace=False)

    def _install(self, unit: Unit, install: Install) -> None:
        for each in install.alias if unit_names.type_of(unit.name) in unit_names.WITH_ALIASES else ():
            self._alias(unit, expanded(each, unit.name, install.default_instance))
        name = unit.name
        if unit_names.instance(name) == "" and install.default_instance:
            name = unit_names.with_instance(name, expanded(install.default_instance, name))
            instance = self._search.find(name)
            if instance is None or instance.install is None:
                raise MasterError(f"{name}, its default instance, is masked", "enable another instance")
        for kind in ("wants", "requires", "upholds"):
            for each in getattr(install, kind):
                target = expanded(each, unit.name, install.default_instance)
                if not unit_names.is_valid(target):
                    raise MasterError(f"[Install] has {quoted(target)}, which is no name of a unit")
                if unit_names.instance(name) == "" and unit_names.instance(target) is None:
                    raise MasterError("it is a template without a default instance", "name an instance, as x@y.service")
                self._link(unit.path, f"{OWN}/{target}.{kind}/{name}", replace=True)

    def _alias(self, unit: Unit, alias: str) -> None:
        folder, _, last = alias.rpartition("/")
        instance = unit_names.instance(unit.name)
        if instance and unit_names.instance(last) == "":
            last = unit_names.with_instance(last, instance)
        if last == unit.name and not folder:
            return
        target, _, kind = folder.rpartition(".")
        namesake = unit.name in (last, unit_names.template(last))
        in_place = not folder or (kind in ("wants", "requires") and unit_names.is_valid(target) and namesake)
        if not in_place or not unit_names.may_be_alias(last, unit.name):
            raise MasterError(f"[Install] has the alias {quoted(alias)}, which it cannot have")
        path = f"{OWN}/{folder}/{last}" if folder else f"{OWN}/{last}"
        self._link(unit.path, path, replace=False)

    def _link(self, target: str, path: str, *, replace: bool) -> None:
        there = self._tree.readlink(path)
        if there is not None and self._is_the_same(path, there, target):
            return
        if self._tree.mode(path) is not None and (there is None or not replace):
            what = f"is a symlink to {there}" if there is not None else "is no symlink"
            raise MasterError(f"/{path} is there already, and {what}", "remove it in the master, or by absent: true")
        self._change(Symlink(self._tree.place(path), _LINK, f"/{target}"))

    def _is_instance(self, name: str, unit: str) -> bool:
        """Whether there is a symlink for the instance `name`, and it leads to its template `unit`."""
        return unit == unit_names.template(name) and self._tree.readlink(f"{OWN}/{name}") is not None

    def _is_the_same(self, path: str, there: str, target: str) -> bool:
        """Whether the symlink at `path` need not change: if names are equal, the folders of units do not matter."""
        folder, _, name = there.rpartition("/")
        is_found = not there.startswith("/") or folder.strip("/") in self._search.folders
        namesake = is_found and name == target.rpartition("/")[2]
        return namesake or self._search.real(path) == self._search.real(target)

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
            real = self._search.real(path)
            template = unit_names.template(name)
            if doomed.isdisjoint({name, f"/{real}", real.rpartition("/")[2], *([template] if template else [])}):
                continue
            self._change(Removal(self._tree.place(path)))
            doomed.add(f"/{path}")
            found = True
        if found and folder != OWN and not self._tree.names(folder):
            self._change(Removal(self._tree.place(folder)))
        return found

    def _change(self, entry: Entry) -> None:
        self._tree.add(entry)
        self.layer.append(entry)

    def _missing(self, name: str) -> MasterError:
        known = sorted({unit for folder in self._search.folders for unit in self._tree.names(folder) if "." in unit})
        if self._tree.exists(f"etc/init.d/{name.removesuffix('.service')}"):
            return MasterError("the master has an init script of that name, and no unit", "enable it in the master")
        return MasterError("there is no such unit", _meant(name, known))


def _meant(name: str, known: Iterable[str]) -> str:
    close = [unit for unit in known if unit[:1] == name[:1]]
    return did_you_mean(name, close) or "install in the master what brings it"
