"""Files that the list puts into guests, one by one or by roles: their keys, and what they mean."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from pipeline.errors import GuestfarmError, quoted
from pipeline.farm import names
from pipeline.farm.model import PutFile, Role, TreeItem
from pipeline.farm.nodes import Fault, Node, ReadingError, entries_of, fault
from pipeline.farm.readers import Many, Matching, Or, Parsed, Schema, did_you_mean
from pipeline.farm.table import Field, Fields, Key, Section, Table
from pipeline.farm.users import GROUP_NAME, NAME, Read
from pipeline.farm.variables import VARS, variables

Walk = Callable[[Path], Sequence[TreeItem]]
"""Reads a folder of this machine whose files go into guests. Raises OSError and GuestfarmError."""

_MODE = Matching("a mode like 0644", "[0-7]{3,4}", "three or four octal digits")


def _parse_template(text: str) -> Path | bool:
    return True if text == "true" else names.parse_file(text)


TEXT: Final[Key[str | None]] = Key("file.text", Parsed("the text of a file", str), "what is in it", None)
SOURCE: Final[Key[Path | None]] = Key("file.source", Parsed("a path", names.parse_file), "the file that it is", None)
TEMPLATE: Final[Key[Path | bool | None]] = Key(
    "file.template",
    Parsed("the path of a template, or true for a text that is one", _parse_template),
    "the template in Jinja2's language that it is made of",
    None,
)
MODE: Final[Key[str | None]] = Key("file.mode", Or("none", _MODE), "who may do what with it; 0644 if none", None)
OWNER: Final = Key("file.owner", NAME, "the user whose it is", "root")
GROUP: Final[Key[str | None]] = Key("file.group", Or("none", GROUP_NAME), "the group; the owner's if none", None)
FILE: Final = Section("file", Table(TEXT, SOURCE, TEMPLATE, MODE, OWNER, GROUP), "a file", short=TEXT)


def _parse_path(text: str) -> PurePosixPath:
    path = names.parse_absolute_path(text)
    if path == PurePosixPath("/") or text.endswith("/"):
        raise GuestfarmError(f"expected the path of a file, found {quoted(text)}", "give one like /etc/motd")
    return PurePosixPath("/", *path.parts[1:])


_PATH = Parsed("the path of a file like /etc/motd", _parse_path)


class FilesReader:
    """Files by their paths: {/etc/motd: welcome, /etc/app.conf: {source: app.conf, mode: 0600}}."""

    form = "a mapping of paths to files like {/etc/motd: welcome}"
    table = FILE.table

    @property
    def schema(self) -> Schema:
        """The paths, and what a file may be."""
        return {
            "type": ["object", "null"],
            "patternProperties": {"^/": FILE.schema},
            "additionalProperties": False,
        }

    def read(self, node: Node) -> Mapping[PurePosixPath, Fields]:
        """The fields of each file. Raises ReadingError with all that is wrong with them."""
        faults: list[Fault] = []
        files: dict[PurePosixPath, Fields] = {}
        for name, (key, value) in entries_of(node, self.form).items():
            fields: dict[str, Field] = {}
            found: list[Fault] = []
            try:
                path = _PATH.read(key)
                if path in files:
                    found.append(fault(key, f"{path} is in the list already"))
                files[path] = Fields(fields)
            except ReadingError as error:
                found += error.faults
            found += FILE.read(value, fields)
            if not found:
                found += _contradictions(key, Fields(fields))
            faults += [each.under(name) for each in found]
        if faults:
            raise ReadingError(*faults)
        return files


FILES: Final[Key[Mapping[PurePosixPath, Fields] | None]] = Key(
    "files", Or("none", FilesReader()), "files by their paths; with a guest's own come those of the defaults", None
)
ROLES: Final[Key[tuple[str, ...]]] = Key(
    "roles", Many(names.NAME), "bundles of files to have, in this order: what comes later wins", ()
)


def _contradictions(key: Node, fields: Fields) -> Iterator[Fault]:
    template = fields[TEMPLATE]
    if template is True and TEXT not in fields:
        yield fault(fields.node(TEMPLATE), "template: true goes with a text", "name the file: template: PATH")
    elif (TEXT in fields) + (SOURCE in fields) + isinstance(template, Path) != 1:
        yield fault(key, "a file has either a text, a source or a template", "give text:, source: or template:")


TREE: Final[Key[Path | None]] = Key(
    "tree", Or("none", Parsed("a path", names.parse_file)), "a folder whose files go to the same places", None
)
ROLE: Final = Table(TREE, FILES, VARS)

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


def check_known(given: Fields, roles: Roles | None) -> Iterator[Fault]:
    """The roles that `given` names are in the list. Raises BrokenError."""
    for name in given[ROLES]:
        if roles is not None and name not in roles:
            hint = did_you_mean(name, roles) or "declare it under 'roles'"
            yield fault(given.node(ROLES), f"there is no role {quoted(name)}", hint, (ROLES.name,))


def check_sources(given: Fields, folder: Path, read: Read | None) -> Iterator[Fault]:
    """The files of this machine that `given` names can be read. Raises BrokenError."""
    for path, fields in files_of(given).items():
        for key, source in ((SOURCE, fields[SOURCE]), (TEMPLATE, fields[TEMPLATE])):
            if isinstance(source, Path) and read is not None:
                keys = (FILES.name, str(path), key.name.rpartition(".")[2])
                yield from _unreadable(fields.node(key), source, folder, read, keys)


def check_tree(role: Fields, folder: Path, walk: Walk | None) -> Iterator[Fault]:
    """The tree of a role can be read. Raises BrokenError."""
    tree = role[TREE]
    if tree is not None and walk is not None:
        yield from _unreadable(role.node(TREE), tree, folder, walk, (TREE.name,))


def _unreadable(
    node: Node, path: Path, folder: Path, read: Callable[[Path], object], keys: tuple[str, ...]
) -> Iterator[Fault]:
    try:
        read(folder / path)
    except OSError as error:
        hint = "" if path.is_absolute() else "paths are relative to the folder of the list"
        yield fault(node, f"{quoted(str(path))} cannot be read: {error.strerror}", hint, keys)
    except GuestfarmError as error:
        yield fault(node, error.message, error.hint, keys)


def files_of(fields: Fields) -> Mapping[PurePosixPath, Fields]:
    """The files of a guest, role or the defaults. Raises BrokenError."""
    files = fields[FILES]
    return {} if files is None else files


def role(name: str, fields: Fields, folder: Path) -> Role:
    """The role that `fields` describe; files are named relative to `folder`."""
    tree = fields[TREE]
    return Role(
        name=name,
        tree=None if tree is None else folder / tree,
        files=put_files(files_of(fields), folder),
        variables=variables(fields),
    )


def put_files(files: Mapping[PurePosixPath, Fields], folder: Path) -> tuple[PutFile, ...]:
    """The files that are described, named relative to `folder`."""
    return tuple(_put_file(path, fields, folder) for path, fields in files.items())


def merged(defaults: Fields, own: Fields) -> Mapping[PurePosixPath, Fields]:
    """The files of a guest: its own, and those of the defaults at other paths. Raises BrokenError."""
    if FILES in own and own[FILES] is None:
        return {}
    return {**files_of(defaults), **files_of(own)}


def _put_file(path: PurePosixPath, fields: Fields, folder: Path) -> PutFile:
    mode, template = fields[MODE], fields[TEMPLATE]
    source = template if isinstance(template, Path) else fields[SOURCE]
    return PutFile(
        path=path,
        text=fields[TEXT],
        source=None if source is None else folder / source,
        mode=None if mode is None else int(mode, 8),
        owner=fields[OWNER],
        group=fields[GROUP],
        template=template is not None,
    )
