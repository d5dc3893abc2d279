"""The masters of the list: the keys that each may have, and what they mean."""

import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

from pipeline.errors import quoted
from pipeline.guestlist.keys import names, parents
from pipeline.guestlist.schema.readers import Choice, Many, Parsed
from pipeline.guestlist.schema.table import BrokenError, Fields, Key, Section, Table
from pipeline.guestlist.syntax.nodes import Fault, Mapping, Node, ReadingError, Scalar, entries_of, fault, unexpected
from pipeline.model.master import (
    Bootstrap,
    Cloud,
    Derived,
    Directory,
    Family,
    Identity,
    Image,
    Master,
    Oci,
    Source,
    Tar,
)

# mmdebstrap(1), VARIANTS; all but `-`, which is debootstrap in other words.
_VARIANTS = (
    *("extract", "custom", "essential", "apt", "required", "minbase"),
    *("buildd", "important", "debootstrap", "standard"),
)

_FILE = Parsed("a path", names.parse_file)
_PATH = names.ABSOLUTE_PATH

SUITE: Final = Key("bootstrap.suite", names.SUITE, "the release to install")
PACKAGES: Final = Key("bootstrap.packages", Many(names.PACKAGE), "what to install besides the variant's packages", ())
MIRROR: Final = Key("bootstrap.mirror", Many(names.MIRROR), "where packages come from; mmdebstrap's choice if none", ())
COMPONENTS: Final = Key("bootstrap.components", Many(names.COMPONENT), "parts of the archive; main if none", ())
KEYRING: Final[Key[Path | None]] = Key("bootstrap.keyring", _FILE, "the keys that sign the mirror's releases", None)
VARIANT: Final = Key("bootstrap.variant", Choice(_VARIANTS), "mmdebstrap's set of packages", "minbase")
RUN: Final = Key(
    "bootstrap.run",
    Many(names.COMMAND, repeats=True),
    'shell commands to run at the end; "$1" is the master\'s root',
    (),
)
BOOTSTRAP: Final = Section(
    "bootstrap",
    Table(SUITE, PACKAGES, MIRROR, COMPONENTS, KEYRING, VARIANT, RUN),
    "a root file system made of Debian's packages by mmdebstrap",
)
TAR: Final[Key[Path | None]] = Key("tar", _FILE, "a root file system in a tar file: plain, gz, xz or zst", None)
DIRECTORY: Final[Key[Path | None]] = Key("directory", _FILE, "a root file system in a folder", None)
IMAGE: Final[Key[Path | None]] = Key("image", _FILE, "a root file system in an ext2, ext3 or ext4 image", None)
OCI_FOLDER: Final[Key[Path | None]] = Key("oci.folder", _FILE, "the folder of an OCI image layout")
OCI_TAG: Final[Key[str | None]] = Key("oci.tag", names.TAG, "which of its images; the only one if not given", None)
OCI: Final = Section(
    "oci",
    Table(OCI_FOLDER, OCI_TAG),
    "a root file system in an OCI image layout, as `skopeo copy` writes one",
    short=OCI_FOLDER,
)
CLOUD: Final[Key[Path | None]] = Key("cloud", _FILE, "the root of a whole disk, raw or qcow2: a cloud image", None)
FROM: Final[Key[str | None]] = Key("from", names.NAME, "another master, to be changed by packages and run", None)
MORE_PACKAGES: Final = Key("packages", Many(names.PACKAGE), "with `from`: what to install in it by its own apt", ())
MORE_RUN: Final = Key("run", RUN.reader, 'with `from`: shell commands to run then; "$1" is the master\'s root', ())
KERNEL: Final[Key[PurePosixPath | None]] = Key("kernel", _PATH, "the kernel inside the master, else its newest", None)
INITRD: Final[Key[PurePosixPath | None]] = Key("initrd", _PATH, "the initrd inside the master", None)
FAMILY: Final[Key[Family | None]] = Key(
    "family", Choice(tuple(Family)), "where its files are; what its os-release says if not given", None
)
IDENTITY: Final[Key[Identity | None]] = Key(
    "identity", Choice(tuple(Identity)), "what tells its guests who they are, unless they say it; files if none", None
)

_ON_THIS_MACHINE = (
    (KEYRING, stat.S_ISREG, "file"),
    (TAR, stat.S_ISREG, "file"),
    (DIRECTORY, stat.S_ISDIR, "folder"),
    (IMAGE, stat.S_ISREG, "file"),
    (OCI_FOLDER, stat.S_ISDIR, "folder"),
    (CLOUD, stat.S_ISREG, "file"),
)

SOURCES: Final = (BOOTSTRAP, TAR, DIRECTORY, IMAGE, OCI, CLOUD, FROM)
MASTER: Final = Table(*SOURCES, MORE_PACKAGES, MORE_RUN, KERNEL, INITRD, FAMILY, IDENTITY)

Masters = dict[str, Master | None]
"""By name; None for one that is broken."""


def read_masters(node: Node, folder: Path) -> tuple[Masters | None, list[Fault]]:
    """The masters, None where there is no telling, and all that is wrong with them. Paths are relative to `folder`."""
    try:
        entries = entries_of(node, "a mapping of names to masters")
    except ReadingError as error:
        return None, [*error.faults]
    make: dict[str, Callable[[Master | None], Master | None]] = {}
    derived: dict[str, tuple[str, Node]] = {}
    faults: list[Fault] = []
    for name, (key, value) in entries.items():
        fields, found = _read_master(key, value, folder)
        faults.extend(each.under(name) for each in found)
        with suppress(BrokenError):
            if fields and (parent := fields[FROM]):
                derived[name] = parent, fields.node(FROM)
        make[name] = partial(_master, name, fields, folder) if fields and not found else _broken
    masters = parents.resolve(derived, make)
    faults.extend(parents.check(derived, make))
    faults.extend(parents.cannot_be_changed(derived, masters))
    return masters, faults


def _read_master(key: Scalar, node: Node, folder: Path) -> tuple[Fields | None, list[Fault]]:
    faults: list[Fault] = []
    try:
        names.NAME.read(key)
    except ReadingError as error:
        faults.extend(error.faults)
    kinds = [source.name for source in SOURCES]
    if not isinstance(node, Mapping):
        return None, [*faults, *unexpected(node, f"a mapping with one of {', '.join(kinds)}").faults]
    fields, found = MASTER.read(node)
    faults.extend(found)
    faults.extend(fault(key, f"{item.name} is missing", f"give {item.reader.form}") for item in MASTER.missing(fields))
    given = [kind for kind in kinds if kind in node.entries]
    if len(given) > 1:
        faults.append(fault(key, f"made from {' and '.join(given)}", "a master is made from one of them"))
    elif not given and not found:
        faults.append(fault(key, "made from nothing", f"give one of {', '.join(kinds)}"))
    if FROM not in fields:
        hint = "give from: as well; a bootstrap's own belong into 'bootstrap'"
        faults.extend(
            fault(fields.node(item), f"{item.name} is for masters derived from another", hint)
            for item in (MORE_PACKAGES, MORE_RUN)
            if item in fields
        )
    faults.extend(_absent_files(fields, folder))
    return fields, faults


def _absent_files(fields: Fields, folder: Path) -> Iterator[Fault]:
    for key, is_kind, kind in _ON_THIS_MACHINE:
        with suppress(BrokenError):
            if path := fields[key]:
                try:
                    wrong = "" if is_kind((folder / path).stat().st_mode) else f"is not a {kind}"
                except OSError as error:
                    wrong = f"cannot be used: {error.strerror}"
                if wrong:
                    hint = "" if path.is_absolute() else "paths are relative to the folder of the list"
                    yield fault(fields.node(key), f"{quoted(str(path))} {wrong}", hint, (key.name,))


def _broken(_: Master | None) -> None:
    """In place of a master with faults."""


def _master(name: str, fields: Fields, folder: Path, parent: Master | None) -> Master:
    return Master(
        name=name,
        source=_source(fields, folder, parent),
        kernel=fields[KERNEL] or (parent.kernel if parent else None),
        initrd=fields[INITRD] or (parent.initrd if parent else None),
        family=fields[FAMILY] or (parent.family if parent else None),
        identity=fields[IDENTITY] or (parent.identity if parent else Identity.FILES),
    )


def _source(fields: Fields, folder: Path, parent: Master | None) -> Source:
    if parent:
        return Derived(parent=parent, packages=fields[MORE_PACKAGES], run=fields[MORE_RUN])
    for key, kind in ((TAR, Tar), (DIRECTORY, Directory), (IMAGE, Image), (CLOUD, Cloud)):
        if path := fields[key]:
            return kind(path=folder / path)
    if fields.has(OCI) and (path := fields[OCI_FOLDER]):
        return Oci(path=folder / path, tag=fields[OCI_TAG])
    keyring = fields[KEYRING]
    return Bootstrap(
        suite=fields[SUITE],
        packages=fields[PACKAGES],
        mirrors=fields[MIRROR],
        components=fields[COMPONENTS],
        keyring=folder / keyring if keyring else None,
        variant=fields[VARIANT],
        run=fields[RUN],
    )
