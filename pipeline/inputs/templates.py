"""Templates of files, filled in by Jinja2 with what is known of a guest and with the variables of the list."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pipeline.errors import GuestfarmError, did_you_mean
from pipeline.inputs.files import read
from pipeline.model.file import Put, PutFile
from pipeline.model.guest import Guest
from pipeline.model.network import Nic
from pipeline.model.role import Variables

if TYPE_CHECKING:  # to load it takes as long as all of a run that has nothing to do: only templates are worth that
    from jinja2 import Template

LARGEST = 1 << 24
"""Characters that a template may come to."""


class _Mistake(Exception):  # noqa: N818  # it is the user's, and shown as a GuestfarmError
    def __init__(self, line: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.line, self.message, self.hint = line, message, hint


def filled(guest: Guest) -> Guest:
    """The guest with the text in place of each template. Raises GuestfarmError, a line for each that fails; OSError."""
    if not any(map(_has_template, (guest.files, *(role.files for role in guest.roles)))):
        return guest
    if guest in _known:
        return _known[guest]
    facts = _facts(guest)
    faults: list[str] = []

    def fill(files: tuple[Put, ...], *layers: Variables) -> tuple[Put, ...]:
        if not _has_template(files):
            return files
        values = {name: value for layer in layers for name, value in layer} | {"guest": facts}
        return tuple(
            _filled(file, values, guest.name, faults) if isinstance(file, PutFile) and file.template else file
            for file in files
        )

    shared, own = guest.shared_variables, guest.variables
    roles = tuple(replace(role, files=fill(role.files, shared, role.variables, own)) for role in guest.roles)
    changed = replace(guest, roles=roles, files=fill(guest.files, shared, own))
    if faults:
        raise GuestfarmError("\n".join(faults))
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
        except GuestfarmError as error:
            faults.append(str(error))
    if faults:
        raise GuestfarmError("\n".join(faults))


def _filled(file: PutFile, values: Mapping[str, object], guest: str, faults: list[str]) -> PutFile:
    name = str(file.source) if file.source is not None else f"file {file.path}"
    text = ""
    try:
        text = _render(_compiled(name, _source(file)), values)
    except _Mistake as mistake:
        where = f"{_shown(file)}:{mistake.line}" if file.source is not None else f"{name}, line {mistake.line}"
        hint = f"; {mistake.hint}" if mistake.hint else ""
        faults.append(f"{where}: guest '{guest}': {mistake.message}{hint}")
    return replace(file, text=text, source=None, template=False)


def _shown(file: PutFile) -> str:
    """The path of a template as the user writes it, where it is in the folder that doit runs in."""
    path = Path(str(file.source))
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _source(file: PutFile) -> str:
    if file.source is None:
        return file.text or ""
    data = read(file.source)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _Mistake(data.count(b"\n", 0, error.start) + 1, "the template is not UTF-8") from error


@cache  # guests share them
def _compiled(name: str, source: str) -> "Template | _Mistake":
    from jinja2 import TemplateSyntaxError  # noqa: PLC0415  # see above

    from pipeline.inputs.jinja import environment  # noqa: PLC0415  # the same

    made = environment()
    try:
        code = made.compile(source, name=name, filename=name)
        return made.template_class.from_code(made, code, made.make_globals(None))
    except TemplateSyntaxError as error:
        return _Mistake(error.lineno, _one_line(error.message or "it cannot be read"))
    except RecursionError:
        return _Mistake(1, "it is nested too deeply")


def _render(template: "Template | _Mistake", values: Mapping[str, object]) -> str:
    if isinstance(template, _Mistake):
        raise _Mistake(template.line, template.message)
    from pipeline.inputs.bounds import counted  # noqa: PLC0415  # see above

    parts: list[str] = []
    room = LARGEST
    try:
        with counted():
            for part in template.generate(values):
                parts.append(part)
                room -= len(part)
                if room < 0:
                    raise GuestfarmError(f"it comes to more than {LARGEST:,} characters")
        return "".join(parts)
    except Exception as error:  # a template is a program of the user's, and may fail in every way
        line = _line(error.__traceback__, template.filename) or 1
        message = "it calls itself without end" if isinstance(error, RecursionError) else _one_line(str(error))
        raise _Mistake(line, message or type(error).__name__, _meant(message, values)) from error


def _line(traceback: TracebackType | None, filename: str | None) -> int | None:
    """The line of the template where it went wrong: Jinja2 puts the template's own lines into tracebacks."""
    line = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == filename:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _one_line(message: str) -> str:
    return " ".join(message.split())[:300]


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
