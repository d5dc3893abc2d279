"""What is put on record of what root disks and seeds are made from, in a form that doit why can tell of in words."""

import hashlib
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import cache, partial
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


def roles(guest: Guest) -> dict[str, Json] | None:
    """What is on record of roles: digests of what comes with each."""
    return {role.name: _role(role) for role in templates.filled(guest).roles} or None


def own_files(guest: Guest) -> dict[str, Json] | None:
    """What is on record of a guest's own files."""
    return _files(templates.filled(guest).files)


@cache
def _role(role: Role) -> dict[str, Json]:
    """What is on record of a role: a digest for each of its files, or for each folder where these are many."""
    tree: dict[str, Json] = {f"/{item.path}": _short(item) for item in walk(role.tree)} if role.tree is not None else {}
    return {"tree": _grouped(tree), "files": _grouped(_files(role.files) or {})}


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


@cache
def _files(files: tuple[Put, ...]) -> dict[str, Json] | None:
    """What is on record of files: for each path, a digest of what it has and is."""
    return {str(file.path): _file_digest(file, number) for number, file in enumerate(files)} or None


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
