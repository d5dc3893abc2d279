"""What is put on record of what root disks and seeds are made from, in a form that doit why can tell of in words."""

import hashlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import chain, islice
from typing import Any

from pipeline.engine import Json
from pipeline.guestos import homes, systemd
from pipeline.inputs import templates
from pipeline.inputs.files import read
from pipeline.inputs.tree import walk
from pipeline.model.file import Put, PutFile
from pipeline.model.guest import Guest
from pipeline.model.network import Nic
from pipeline.model.role import Role
from pipeline.model.user import User

_MOST_FILES = 100
"""How many files of a role are on record one by one."""


@cache
def asking(question: Callable[[Any], Json], of: Hashable) -> Callable[[], Json]:
    """An input to be asked: one for all guests of which the same is asked, so that it is asked and kept once."""
    return partial(question, of)


@cache  # guests share them
def users(users: tuple[User, ...]) -> dict[str, Json] | None:
    """What is on record of users, the files that they name included; what they are is nobody's business."""
    return {user.name: _digest(user) for user in users} or None


def units(guest: Guest) -> dict[str, Json] | None:
    """What is on record of systemd's units: what becomes of each."""
    return {name: state for name, (state, _) in sorted(systemd.states(guest).items())} or None


def roles(guest: Guest) -> Json | Callable[[], Json]:
    """What is on record of roles: digests of what comes with each.

    It has to be asked only where a role has a tree, or files that are copied. What templates come to follows from the
    list and from the templates, and the list is read again when one of these has changed.
    """
    if not guest.roles:
        return None
    found = iter(_template_digests(guest))
    parts = tuple((role, tuple(islice(found, _templates_in(role.files)))) for role in guest.roles)
    is_asked = any(role.tree is not None or _has_copies(role.files) for role in guest.roles)
    return asking(_roles, parts) if is_asked else _roles(parts)


def own_files(guest: Guest) -> Json | Callable[[], Json]:
    """What is on record of a guest's own files. It has to be asked only where files are copied; see roles()."""
    if not guest.files:
        return None
    digests = _template_digests(guest)
    part = guest.files, digests[len(digests) - _templates_in(guest.files) :]
    return asking(_own_files, part) if _has_copies(guest.files) else _own_files(part)


def note_templates(guest: Guest, texts: Sequence[str]) -> None:
    """Note what the templates of a guest come to, so that they are not filled in again to be put on record."""
    _noted[id(guest)] = guest, _digests_of(guest, texts)


_noted: dict[int, tuple[Guest, tuple[str, ...]]] = {}
"""Digests of what templates come to, those of roles before a guest's own, by the identity of the guest."""


def _template_digests(guest: Guest) -> tuple[str, ...]:
    noted = _noted.get(id(guest))
    return noted[1] if noted is not None and noted[0] is guest else _digests_of(guest, templates.texts(guest))


def _digests_of(guest: Guest, texts: Sequence[str]) -> tuple[str, ...]:
    files = chain.from_iterable((*(role.files for role in guest.roles), guest.files))
    found = filter(templates.is_template, files)
    return tuple(_file_digest(templates.with_text(file, text), 0) for file, text in zip(found, texts, strict=True))


def _templates_in(files: tuple[Put, ...]) -> int:
    return sum(map(templates.is_template, files))


def _has_copies(files: tuple[Put, ...]) -> bool:
    return any(isinstance(file, PutFile) and file.source is not None and not file.template for file in files)


def _roles(parts: tuple[tuple[Role, tuple[str, ...]], ...]) -> dict[str, Json]:
    """What is on record of roles, each with the digests of what its templates come to."""
    return {role.name: _role(role, digests) for role, digests in parts}


def _role(role: Role, digests: tuple[str, ...]) -> dict[str, Json]:
    """What is on record of a role: a digest for each of its files, or for each folder where these are many."""
    known = _known_roles.get(id(role))
    if known is None or known[0] is not role:
        known = _known_roles[id(role)] = role, _tree(role), _digests(role.files)
    _, tree, files = known
    return {"tree": tree, "files": _grouped(_with(files, digests))}


_known_roles: dict[int, tuple[Role, dict[str, Json], tuple[tuple[str, str | None], ...]]] = {}
"""What is the same for all guests that have a role, by its identity."""


def _own_files(part: tuple[tuple[Put, ...], tuple[str, ...]]) -> dict[str, Json]:
    files, digests = part
    return _with(_digests(files), digests)


def _tree(role: Role) -> dict[str, Json]:
    return _grouped({f"/{item.path}": _short(item) for item in walk(role.tree)} if role.tree is not None else {})


def _with(files: Iterable[tuple[str, str | None]], digests: Iterable[str]) -> dict[str, Json]:
    """Files with their digests, those of what templates come to put where there is none."""
    found = iter(digests)
    return {path: next(found) if digest is None else digest for path, digest in files}


def _digests(files: tuple[Put, ...]) -> tuple[tuple[str, str | None], ...]:
    """What is on record of files: for each path, a digest of what it has and is; None for a template."""
    return tuple(
        (str(file.path), None if templates.is_template(file) else _file_digest(file, number))
        for number, file in enumerate(files)
    )


def _grouped(digests: dict[str, Json]) -> dict[str, Json]:
    """Digests by paths; of folders, if there would be so many that ten thousand records of them are a burden."""
    depth = max((path.count("/") for path in digests), default=0)
    while len(digests) > _MOST_FILES and depth > 1:
        depth -= 1
        groups: dict[str, list[Json]] = {}
        for path, digest in digests.items():
            groups.setdefault("/".join(path.split("/")[: depth + 1]), []).append([path, digest])
        digests = {path: _short(group) for path, group in groups.items()}
    return digests if len(digests) <= _MOST_FILES else {"/": _short(digests)}


def _file_digest(file: Put, number: int) -> str:
    """A digest of a file; of directories, symlinks and removals, also of which one it is: their order matters."""
    if isinstance(file, PutFile):
        return _short([replace(file, source=None), _data(file)])
    return _short([number, file])


def _data(file: PutFile) -> bytes | None:
    return None if file.source is None else read(file.source)


def _short(facts: object) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _digest(user: User) -> str:
    return _short(replace(user, keys=None if user.keys is None else tuple(homes.authorized(user, read))))


def network(nic: Nic) -> dict[str, Any]:
    """What root has of a network card. What is as it was before there was more stands as it did."""
    addresses = [*map(str, nic.addresses), *(["dhcp"] if nic.dhcp4 else [])]
    more = {
        "dhcp6": nic.dhcp6,
        "accept RA": {None: "", True: "yes", False: "no"}[nic.accept_ra],
        "routes": [f"{route.to} via {route.via}" for route in nic.routes],
        "search": list(nic.search),
        "MTU": nic.mtu,
        "VLAN": nic.vlan,
    }
    return {
        "mac": nic.mac,
        "address": ", ".join(addresses),
        "gateway": ", ".join(map(str, nic.gateways)) or "None",
        "nameservers": [str(server) for server in nic.nameservers],
        **{name: value for name, value in more.items() if value},
    }
