"""Files, directories and symlinks that the list puts into guests, or removes: their keys, and what they mean."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from pipeline.errors import GuestfarmError, quoted
from pipeline.guestlist.keys import names
from pipeline.guestlist.keys.user import GROUP_NAME, NAME, Read
from pipeline.guestlist.schema.readers import Matching, Or, Parsed, Schema, Switch
from pipeline.guestlist.schema.table import Field, Fields, Key, Section, Table
from pipeline.guestlist.syntax.nodes import Fault, Node, ReadingError, entries_of, fault
from pipeline.model.file import Absent, Put, PutDirectory, PutFile, PutLink, TreeItem

Walk = Callable[[Path], Sequence[TreeItem]]
"""Reads a folder of this machine whose files go into guests. Raises OSError and GuestfarmError."""

_MODE = Matching("a mode like 0644", "[0-7]{3,4}", "three or four octal digits")


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_LINK = 4095
"""Bytes: PATH_MAX of linux/limits.h, without the NUL."""


def _parse_template(text: str) -> Path | bool:
    return True if text == "true" else names.parse_file(text)


def _parse_link(text: str) -> str:
    if not text or _CONTROL.search(text) or len(text.encode()) > _LONGEST_LINK:
        raise GuestfarmError(f"expected where a symlink leads, found {quoted(text)}")
    return text


TEXT: Final[Key[str | None]] = Key("file.text", Parsed("the text of a file", str), "what is in it", None)
SOURCE: Final[Key[Path | None]] = Key("file.source", Parsed("a path", names.parse_file), "the file that it is", None)
TEMPLATE: Final[Key[Path | bool | None]] = Key(
    "file.template",
    Parsed("the path of a template, or true for a text that is one", _parse_template),
    "the template in Jinja2's language that it is made of",
    None,
)
DIRECTORY: Final[Key[bool]] = Key("file.directory", Switch(), "whether it is a directory", False)
LINK: Final[Key[str | None]] = Key(
    "file.link",
    Parsed("where a symlink leads, like /srv/www or ../www", _parse_link),
    "where it leads as a symlink",
    None,
)
ABSENT: Final[Key[bool]] = Key("file.absent", Switch(), "remove this path, recursively", False)
MODE: Final[Key[str | None]] = Key(
    "file.mode", Or("none", _MODE), "permissions in octal; default 0644, directories 0755", None
)
OWNER: Final = Key("file.owner", NAME, "the user whose it is", "root")
GROUP: Final[Key[str | None]] = Key("file.group", Or("none", GROUP_NAME), "the group; the owner's if none", None)
FILE: Final = Section(
    "file",
    Table(TEXT, SOURCE, TEMPLATE, DIRECTORY, LINK, ABSENT, MODE, OWNER, GROUP),
    "a file, directory or symlink",
    short=TEXT,
)


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


def _contradictions(key: Node, fields: Fields) -> Iterator[Fault]:
    template = fields[TEMPLATE]
    kinds = [fields[DIRECTORY], LINK in fields, fields[ABSENT]]
    contents = (TEXT in fields) + (SOURCE in fields) + isinstance(template, Path)
    if template is True and TEXT not in fields:
        yield fault(fields.node(TEMPLATE), "template: true goes with a text", "name the file: template: PATH")
    elif sum(kinds) + contents != 1:
        yield fault(
            key,
            "it is one thing: a file with a text, a source or a template, a directory, a symlink, or absent",
            "give one of text:, source:, template:, directory: true, link: and absent: true",
        )
    else:
        pointless = (MODE,) if LINK in fields else (MODE, OWNER, GROUP) if fields[ABSENT] else ()
        for each in pointless:
            if each in fields:
                what = "a symlink has no mode of its own" if LINK in fields else "what is not there has none"
                yield fault(fields.node(each), what, "remove it", (each.name.rpartition(".")[2],))


def check_sources(given: Fields, folder: Path, read: Read | None) -> Iterator[Fault]:
    """The files of this machine that `given` names can be read. Raises BrokenError."""
    for path, fields in files_of(given).items():
        for key, source in ((SOURCE, fields[SOURCE]), (TEMPLATE, fields[TEMPLATE])):
            if isinstance(source, Path) and read is not None:
                keys = (FILES.name, str(path), key.name.rpartition(".")[2])
                yield from unreadable(fields.node(key), source, folder, read, keys)


def unreadable(
    node: Node, path: Path, folder: Path, read: Callable[[Path], object], keys: tuple[str, ...]
) -> Iterator[Fault]:
    """What keeps `read` from reading `path`, which is relative to `folder`."""
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


def put_files(files: Mapping[PurePosixPath, Fields], folder: Path) -> tuple[Put, ...]:
    """The files that are described, named relative to `folder`."""
    return tuple(_put(path, fields, folder) for path, fields in files.items())


def merged(defaults: Fields, own: Fields) -> Mapping[PurePosixPath, Fields]:
    """The files of a guest: those of the defaults, and its own in place of these or after them. Raises BrokenError."""
    if FILES in own and own[FILES] is None:
        return {}
    ours = files_of(own)
    return {**{path: fields for path, fields in files_of(defaults).items() if path not in ours}, **ours}


def _put(path: PurePosixPath, fields: Fields, folder: Path) -> Put:
    mode, template, link = fields[MODE], fields[TEMPLATE], fields[LINK]
    permissions = None if mode is None else int(mode, 8)
    owner, group = fields[OWNER], fields[GROUP]
    if fields[ABSENT]:
        return Absent(path=path)
    if fields[DIRECTORY]:
        return PutDirectory(path=path, mode=permissions, owner=owner, group=group)
    if link is not None:
        return PutLink(path=path, target=link, owner=owner, group=group)
    source = template if isinstance(template, Path) else fields[SOURCE]
    return PutFile(
        path=path,
        text=fields[TEXT],
        source=None if source is None else folder / source,
        mode=permissions,
        owner=owner,
        group=group,
        template=template is not None,
    )
