"""Templates of files, filled in by Jinja2 with what is known of a guest and with the variables of the list."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.errors import GuestfarmError, did_you_mean
from pipeline.inputs import renderer
from pipeline.inputs.files import read
from pipeline.inputs.renderer import NOT_TRIED, Mistake, Render, Request
from pipeline.model.file import Put, PutFile
from pipeline.model.guest import Guest
from pipeline.model.network import Nic
from pipeline.model.role import Variables

_TIME_IS_UP = "other templates are not tried: there is no time left for them"


class _TimeIsUpError(GuestfarmError):
    """No more templates can be filled in."""


def filled(guest: Guest) -> Guest:
    """The guest with the text in place of each template. Raises GuestfarmError, a line for each that fails; OSError."""
    if not _has_templates(guest):
        return guest
    found = iter(texts(guest))

    def fill(files: tuple[Put, ...]) -> tuple[Put, ...]:
        return tuple(with_text(file, next(found)) if is_template(file) else file for file in files)

    roles = tuple(replace(role, files=fill(role.files)) for role in guest.roles)
    return replace(guest, roles=roles, files=fill(guest.files))


def texts(guest: Guest) -> tuple[str, ...]:
    """What a guest's templates come to: those of its roles first, then its own. Raises GuestfarmError and OSError."""
    if not _has_templates(guest):
        return ()
    known = _known.get(id(guest))
    if known is not None and known[0] is guest:
        return known[1]
    (found,) = _each([guest])
    if isinstance(found, GuestfarmError):
        raise found
    return found


def check(guests: Iterable[Guest], seen: Callable[[Guest, tuple[str, ...]], object]) -> None:
    """Fill in every template; what the templates of a guest come to is told to `seen`.

    Raises GuestfarmError with all that is wrong, a line each; OSError.
    """
    faults: list[str] = []
    wanted = [guest for guest in guests if _has_templates(guest)]
    for guest, found in zip(wanted, _each(wanted), strict=True):
        if not isinstance(found, GuestfarmError):
            seen(guest, found)
            continue
        faults.append(str(found))
        if isinstance(found, _TimeIsUpError):
            break
    if faults:
        raise GuestfarmError("\n".join(faults))


def is_template(file: Put) -> bool:
    """Whether a file is still to be filled in."""
    return isinstance(file, PutFile) and file.template


def with_text(file: Put, text: str) -> PutFile:
    """A template that was filled in."""
    if not isinstance(file, PutFile):
        raise TypeError(f"{file.path} is no template")
    return replace(file, text=text, source=None, template=False)


_known: dict[int, tuple[Guest, tuple[str, ...]]] = {}
"""What was filled in before, by the identity of the guest: a run asks whether all is well, and then what to write.

To tell guests by what they are would take as long as to fill in a template.
"""
_MOST_KEPT = 1 << 26
"""Characters of all texts in memory."""
_kept = [0]


def _keep(guest: Guest, found: tuple[str, ...]) -> None:
    size = sum(map(len, found))
    if _kept[0] + size <= _MOST_KEPT:
        _kept[0] += size
        _known[id(guest)] = guest, found


def _has_templates(guest: Guest) -> bool:
    return any(map(is_template, guest.files)) or any(_has_template(role.files) for role in guest.roles)


def _has_template(files: Iterable[Put]) -> bool:
    return any(map(is_template, files))


@dataclass(slots=True)
class _Wanted:
    """The templates of a guest, with what stands in for those that cannot be read, and their variables."""

    guest: Guest
    facts: dict[str, Any]
    files: list[PutFile] = field(default_factory=list)
    sources: list[str | Mistake] = field(default_factory=list)
    variables: list[dict[str, Any]] = field(default_factory=list)

    @property
    def request(self) -> Request:
        """What the program that fills in templates is asked."""
        rows = zip(self.files, self.sources, self.variables, strict=True)
        return Request(
            self.facts,
            [Render(_name(file), source, own) for file, source, own in rows if isinstance(source, str)],
        )

    def answer(self, found: Sequence[bytes | Mistake]) -> tuple[str, ...] | GuestfarmError:
        """What the templates come to, or all that is wrong with them."""
        answers = iter(found)
        made: list[str] = []
        faults: list[str] = []
        for file, source, variables in zip(self.files, self.sources, self.variables, strict=True):
            text = next(answers) if isinstance(source, str) else source
            if text == NOT_TRIED:
                return _TimeIsUpError("\n".join([*faults, _TIME_IS_UP]))
            if isinstance(text, Mistake):
                where = f"{_shown(file)}:{text.line}" if file.source is not None else f"{_name(file)}, line {text.line}"
                hint = _meant(text.message, {**variables, "guest": self.facts})
                faults.append(f"{where}: guest '{self.guest.name}': {text.message}" + (f"; {hint}" if hint else ""))
            else:
                made.append(text.decode())
        return GuestfarmError("\n".join(faults)) if faults else tuple(made)


def _each(guests: Iterable[Guest]) -> Iterator[tuple[str, ...] | GuestfarmError]:
    """What the templates of each guest come to, or all that is wrong with them. Raises OSError."""
    asked: deque[_Wanted] = deque()
    merged = _Merged()

    def requests() -> Iterator[Request]:
        for guest in guests:
            asked.append(_wanted(guest, merged))
            yield asked[-1].request

    for found in renderer.rendered(requests()):
        wanted = asked.popleft()
        answer = wanted.answer(found)
        if not isinstance(answer, GuestfarmError):
            _keep(wanted.guest, answer)
        yield answer


def _wanted(guest: Guest, merged: "_Merged") -> _Wanted:
    wanted = _Wanted(guest, _facts(guest))
    shared, own = guest.shared_variables, guest.variables
    layers = [(role.files, (shared, role.variables, own)) for role in guest.roles] + [(guest.files, (shared, own))]
    for files, below in layers:
        for file in files:
            if isinstance(file, PutFile) and file.template:
                wanted.files.append(file)
                wanted.sources.append(_source(file))
                wanted.variables.append(merged.of(below))
    return wanted


class _Merged:
    """Variables of which those that come later win; one object for guests that have the same."""

    def __init__(self) -> None:
        self._last: dict[tuple[Variables, ...], dict[str, Any]] = {}

    def of(self, layers: tuple[Variables, ...]) -> dict[str, Any]:
        """The variables of all `layers`."""
        found = self._last.get(layers)
        if found is None:
            if len(self._last) >= _MOST_MERGED:
                self._last.clear()
            found = self._last[layers] = {name: value for variables in layers for name, value in variables}
        return found


_MOST_MERGED = 100
"""How many mappings of variables are kept to be shared: as many as a list has roles, rather than guests."""


def _name(file: PutFile) -> str:
    return str(file.source) if file.source is not None else f"file {file.path}"


def _shown(file: PutFile) -> str:
    """The path of a template as the user writes it, where it is in the folder that doit runs in."""
    path = Path(str(file.source))
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _source(file: PutFile) -> str | Mistake:
    if file.source is None:
        return file.text or ""
    return _decoded(file.source)


@cache
def _decoded(path: Path) -> str | Mistake:
    data = read(path)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        return Mistake(data.count(b"\n", 0, error.start) + 1, "the template is not UTF-8")


def _meant(message: str, values: Mapping[str, Any]) -> str:
    """A hint for a name that is not there."""
    if found := re.fullmatch("'(.*)' is undefined", message):
        return did_you_mean(found[1], values) or "give it under vars:"
    if found := re.fullmatch("'dict object' has no attribute '(.*)'", message):
        return did_you_mean(found[1], values["guest"])
    return ""


def _facts(guest: Guest) -> dict[str, object]:
    """What templates know of a guest: texts, whole numbers, and tuples and mappings of such. See docs/roles.md."""
    nics = tuple(map(_nic, guest.nics))
    addresses = tuple(str(each.ip) for nic in guest.nics for each in nic.addresses)
    return {
        "name": guest.name,
        "address": addresses[0] if addresses else "",
        "addresses": addresses,
        "nics": nics,
        "memory": guest.memory,
        "vcpus": guest.vcpus,
        "master": guest.base.master.name,
        "hypervisors": guest.hypervisors,
        "roles": tuple(role.name for role in guest.roles),
        "users": tuple(user.name for user in guest.users),
        "disks": tuple({"name": disk.name, "size": disk.size, "mount": _text(disk.mount)} for disk in guest.disks),
        "root_size": guest.base.size,
        "swap": guest.swap or 0,
        "uuid": str(guest.uuid),
        "machine_id": guest.machine_id,
        "timezone": guest.timezone or "",
        "locale": guest.locale or "",
        "keyboard": guest.keyboard or "",
    }


def _nic(nic: Nic) -> dict[str, object]:
    return {
        "mac": nic.mac,
        "bridge": nic.bridge,
        "addresses": tuple(str(each.ip) for each in nic.addresses),
        "networks": tuple(str(each.network) for each in nic.addresses),
        "gateways": _texts(nic.gateways),
        "nameservers": _texts(nic.nameservers),
        "search": nic.search,
        "dhcp4": nic.dhcp4,
        "dhcp6": nic.dhcp6,
        "mtu": nic.mtu or 0,
        "vlan": nic.vlan or 0,
    }


def _texts(values: Sequence[object]) -> tuple[str, ...]:
    return tuple(map(str, values))


def _text(path: PurePosixPath | None) -> str:
    return "" if path is None else str(path)
