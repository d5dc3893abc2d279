"""Templates of files, filled in by Jinja2 with what is known of a guest and with the variables of the list."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.errors import GuestfarmError, did_you_mean
from pipeline.inputs.files import read
from pipeline.inputs.renderer import NOT_TRIED, Mistake, Render, rendered
from pipeline.model.file import Put, PutFile
from pipeline.model.guest import Guest
from pipeline.model.network import Nic

_TIME_IS_UP = "other templates are not tried: there is no time left for them"


class _TimeIsUpError(GuestfarmError):
    """No more templates can be filled in."""


def filled(guest: Guest) -> Guest:
    """The guest with the text in place of each template. Raises GuestfarmError, a line for each that fails; OSError."""
    if not any(map(_has_template, (guest.files, *(role.files for role in guest.roles)))):
        return guest
    if guest in _known:
        return _known[guest]
    facts = _facts(guest)
    faults: list[str] = []
    shared, own = guest.shared_variables, guest.variables
    layers = [(role.files, (shared, role.variables, own)) for role in guest.roles] + [(guest.files, (shared, own))]
    wanted = [
        (file, {name: value for variables in below for name, value in variables})
        for files, below in layers
        for file in files
        if isinstance(file, PutFile) and file.template
    ]
    texts = iter(_texts_of(wanted, facts, guest.name, faults))
    if faults:
        raise (_TimeIsUpError if faults[-1] == _TIME_IS_UP else GuestfarmError)("\n".join(faults))

    def fill(files: tuple[Put, ...]) -> tuple[Put, ...]:
        return tuple(
            replace(file, text=next(texts), source=None, template=False)
            if isinstance(file, PutFile) and file.template
            else file
            for file in files
        )

    roles = tuple(replace(role, files=fill(role.files)) for role in guest.roles)
    changed = replace(guest, roles=roles, files=fill(guest.files))
    _keep(guest, changed)
    return changed


_known: dict[Guest, Guest] = {}
"""Those that were filled in before: a run asks several times, whether all is well, what is stale, and what to write."""
_MOST_KEPT = 1 << 26
"""Characters of all texts in memory."""
_kept = [0]


def _keep(guest: Guest, changed: Guest) -> None:
    files = [file for files in (changed.files, *(role.files for role in changed.roles)) for file in files]
    size = sum(len(file.text or "") for file in files if isinstance(file, PutFile))
    if _kept[0] + size <= _MOST_KEPT:
        _kept[0] += size
        _known[guest] = changed


def _has_template(files: Iterable[Put]) -> bool:
    return any(isinstance(file, PutFile) and file.template for file in files)


def check(guests: Iterable[Guest]) -> None:
    """Fill in every template. Raises GuestfarmError with all that is wrong, a line each; OSError."""
    faults: list[str] = []
    for guest in guests:
        try:
            filled(guest)
        except _TimeIsUpError as error:
            faults.append(str(error))
            break
        except GuestfarmError as error:
            faults.append(str(error))
    if faults:
        raise GuestfarmError("\n".join(faults))


def _texts_of(
    wanted: Sequence[tuple[PutFile, Mapping[str, Any]]], facts: Mapping[str, object], guest: str, faults: list[str]
) -> list[str]:
    """What templates come to, each with its variables; empty for one with a mistake, which is put into `faults`."""
    sources = [_source(file) for file, _ in wanted]
    renders = [
        Render(_name(file), source, variables)
        for (file, variables), source in zip(wanted, sources, strict=True)
        if isinstance(source, str)
    ]
    found = iter(rendered(facts, renders))
    texts = []
    for (file, variables), source in zip(wanted, sources, strict=True):
        text = next(found) if isinstance(source, str) else source
        if text == NOT_TRIED:
            faults.append(_TIME_IS_UP)
            break
        if isinstance(text, Mistake):
            where = f"{_shown(file)}:{text.line}" if file.source is not None else f"{_name(file)}, line {text.line}"
            hint = _meant(text.message, {**variables, "guest": facts})
            faults.append(f"{where}: guest '{guest}': {text.message}" + (f"; {hint}" if hint else ""))
        texts.append("" if isinstance(text, Mistake) else text.decode())
    return texts


def _name(file: PutFile) -> str:
    return str(file.source) if file.source is not None else f"file {file.path}"


def _shown(file: PutFile) -> str:
    """The path of a template as the user writes it, where it is in the folder that doit runs in."""
    path = Path(str(file.source))
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _source(file: PutFile) -> str | Mistake:
    if file.source is None:
        return file.text or ""
    data = read(file.source)
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
