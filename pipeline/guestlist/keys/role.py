"""Roles: bundles of what guests have in common. Their keys in the list, and what they mean."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.errors import did_you_mean, quoted
from pipeline.guestlist.keys import names
from pipeline.guestlist.keys import unit as unit_keys
from pipeline.guestlist.keys.file import FILES, Walk, files_of, put_files, unreadable
from pipeline.guestlist.keys.unit import UNITS
from pipeline.guestlist.keys.user import USERS
from pipeline.guestlist.keys.variable import VARS, variables
from pipeline.guestlist.schema.readers import Many, Or, Parsed
from pipeline.guestlist.schema.table import Fields, Key, Table
from pipeline.guestlist.syntax.nodes import Fault, Node, ReadingError, entries_of, fault
from pipeline.model.role import Role

ROLES: Final[Key[tuple[str, ...]]] = Key(
    "roles", Many(names.NAME), "bundles of files, users and units to have, in this order: what comes later wins", ()
)

TREE: Final[Key[Path | None]] = Key(
    "tree", Or("none", Parsed("a path", names.parse_file)), "a folder whose files go to the same places", None
)
ROLE: Final = Table(TREE, FILES, USERS, UNITS, VARS)

Roles = dict[str, Fields | None]
"""By name; None for one that is broken."""


def read_roles(node: Node) -> tuple[Roles | None, list[Fault]]:
    """The roles of the list, None where there is no telling, and all that is wrong with them."""
    try:
        entries = entries_of(node, "a mapping of names to roles")
    except ReadingError as error:
        return None, [*error.faults]
    roles: Roles = {}
    faults: list[Fault] = []
    for name, (key, value) in entries.items():
        found: list[Fault] = []
        try:
            names.NAME.read(key)
        except ReadingError as error:
            found += error.faults
        fields, more = ROLE.read(value)
        found += more
        roles[name] = None if found else fields
        faults += [each.under(name) for each in found]
    return roles, faults


def having(names: tuple[str, ...], roles: Roles) -> dict[str, Fields]:
    """Those of `roles` that are called so, in this order, without those that are missing or broken."""
    found = {name: roles.get(name) for name in names}
    return {name: fields for name, fields in found.items() if fields is not None}


def check_known(given: Fields, roles: Roles | None) -> Iterator[Fault]:
    """The roles that `given` names are in the list. Raises BrokenError."""
    for name in given[ROLES]:
        if roles is not None and name not in roles:
            hint = did_you_mean(name, roles) or "declare it under 'roles'"
            yield fault(given.node(ROLES), f"there is no role {quoted(name)}", hint, (ROLES.name,))


def check_tree(role: Fields, folder: Path, walk: Walk | None) -> Iterator[Fault]:
    """The tree of a role can be read. Raises BrokenError."""
    tree = role[TREE]
    if tree is not None and walk is not None:
        yield from unreadable(role.node(TREE), tree, folder, walk, (TREE.name,))


def role(name: str, fields: Fields, folder: Path) -> Role:
    """The role that `fields` describe; files are named relative to `folder`."""
    tree = fields[TREE]
    return Role(
        name=name,
        tree=None if tree is None else folder / tree,
        files=put_files(files_of(fields), folder),
        variables=variables(fields),
        units=unit_keys.units(fields),
    )
