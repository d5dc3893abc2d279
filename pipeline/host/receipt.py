"""Receipts: what was deployed to a guest's folder in the image store, for which farm, and from which build."""

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import HostError
from pipeline.image.files.publish import PUBLIC, publish_text

NAME = "deployed.json"

_LONGEST = 1 << 22
"""Bytes of a file that are read as text: receipts and configurations have some thousands."""


@dataclass(frozen=True, slots=True)
class Known:
    """A file as it was when it was deployed."""

    sha256: str
    stamp: tuple[int, ...]
    """Its size, time and inode: as long as they are the same, its contents are."""

    @classmethod
    def of(cls, path: Path, sha256: str) -> "Known":
        """The file at `path`, with this SHA-256."""
        return cls(sha256, _stamp(path))

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> "Known":
        """The one that JSON has as `fields`."""
        return cls(str(fields["sha256"]), tuple(map(int, fields["stamp"])))

    def now(self, path: Path) -> str:
        """The SHA-256 of the file at `path`, which may be the one that was deployed. Raises OSError."""
        return self.sha256 if _stamp(path) == self.stamp else sha256(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A network card, as it is configured inside the guest."""

    mac: str
    addresses: tuple[str, ...]
    """With the lengths of their prefixes; `dhcp` and `dhcp6` where the guest asks for one."""
    gateways: tuple[str, ...]
    vlan: int | None

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> "Card":
        """The one that JSON has as `fields`."""
        return cls(
            mac=str(fields["mac"]),
            addresses=tuple(map(str, fields["addresses"])),
            gateways=tuple(map(str, fields["gateways"])),
            vlan=None if fields["vlan"] is None else int(fields["vlan"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What is on a guest's disks that its configurations have to fit. None stands for what is not known."""

    uuids: Mapping[str, str] = field(default_factory=dict)
    """For each disk's file name the UUID of its file system or swap area."""
    mounts: Mapping[str, str] | None = None
    """The disks that fstab on the root disk names besides itself, swap included: by file name, the UUIDs."""
    network: tuple[Card, ...] | None = None

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> "Inside":
        """The one that JSON has as `fields`."""
        mounts, network = fields["mounts"], fields["network"]
        return cls(
            uuids=_by_file(fields["uuids"]),
            mounts=None if mounts is None else _by_file(mounts),
            network=None if network is None else tuple(map(Card.read, network)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """Files that a run was about to put into the folder: if it was killed, they may be there."""

    disks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What each is made from, as in a Receipt."""
    boot: Mapping[str, str] = field(default_factory=dict)
    """The SHA-256 of each, by name."""
    configs: Mapping[str, str] = field(default_factory=dict)
    """The SHA-256 of each, by name."""
    uuids: Mapping[str, str] | None = None
    """The UUIDs of those disks that have one, as in Inside; None in receipts of earlier versions."""
    mixed: Mapping[str, str] = field(default_factory=dict)
    """A kernel and an initrd of two builds that an earlier run left: the SHA-256 of each, by name."""

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> "Begun":
        """The one that JSON has as `fields`."""
        disks = {_file(name): _texts(inputs) for name, inputs in fields["disks"].items()}
        uuids = fields.get("uuids")
        return cls(
            disks=disks,
            boot=_by_file(fields["boot"]),
            configs=_by_file(fields["configs"]),
            uuids=None if uuids is None else _by_file(uuids),
            mixed=_by_file(fields.get("mixed", {})),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What is on record of a deployed guest."""

    farm: str | None = None
    """The farm that it belongs to; None in receipts of earlier versions, which have none of the first three."""
    guest: str | None = None
    """Its name in that farm's list."""
    inside: Inside | None = None
    deployed: str
    """The moment at which its disks were deployed: UTC, by ISO 8601."""
    modules: str | None
    """The digest of the master whose files are on the root disk, with the modules for its kernels."""
    disks: Mapping[str, Mapping[str, str]]
    """For each disk's file name what it was made from: the digest of each input by the input's name."""
    boot: Mapping[str, Known]
    """The kernel and its initrd, by name."""
    configs: Mapping[str, Known]
    """The configurations, by name."""
    begun: Begun | None = None
    """What a run was about to change; None when it has ended, and left no mixed boot files."""

    def write(self, folder: Path) -> None:
        """Put it into the guest's folder. Raises ImageError."""
        publish_text(folder / NAME, json.dumps(asdict(self), indent=2) + "\n", mode=PUBLIC)

    @classmethod
    def read(cls, folder: Path) -> "Receipt | None":
        """The one in `folder`, if there is one. Raises HostError if it is damaged, or cannot be read."""
        path = folder / NAME
        try:
            fields = json.loads(contents(path))
            inside, begun = fields.get("inside"), fields.get("begun")
            return cls(
                farm=_name(fields.get("farm")),
                guest=_name(fields.get("guest")),
                inside=None if inside is None else Inside.read(inside),
                deployed=str(fields["deployed"]),
                modules=_name(fields["modules"]),
                disks={_file(name): _texts(inputs) for name, inputs in fields["disks"].items()},
                boot={_file(name): Known.read(of) for name, of in fields["boot"].items()},
                configs={_file(name): Known.read(of) for name, of in fields["configs"].items()},
                begun=None if begun is None else Begun.read(begun),
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            raise HostError(f"{path}: {error.strerror}") from error
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise HostError(f"{path} is damaged", f"without it, {folder.name} counts as made by hand") from error


_digests: dict[tuple[int, ...], str] = {}
"""By inode: many guests of the build have the same kernel."""


def sha256(path: Path) -> str:
    """Of the file at `path`. Raises OSError."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        inode = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if inode not in _digests:
            _digests[inode] = hashlib.file_digest(file, "sha256").hexdigest()
        return _digests[inode]


def sha256_now(path: Path, known: Known | None) -> str | None:
    """Of the file at `path`, which may be the `known` one that was deployed; None without one. Raises OSError."""
    if not path.exists():
        return None
    return known.now(path) if known else sha256(path)


def contents(path: Path) -> bytes:
    """What is in the file at `path`, which is no symlink. Raises OSError, and ValueError for what is no small file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"{path} is no file")
        data = file.read(_LONGEST + 1)
    if len(data) > _LONGEST:
        raise ValueError(f"{path} has more than {_LONGEST} bytes")
    return data


def digest(value: object) -> str:
    """A short digest of a JSON value, to tell whether it is the same later without giving it away."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _texts(fields: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in fields.items()}


def _by_file(fields: Mapping[str, Any]) -> dict[str, str]:
    return {_file(name): str(value) for name, value in fields.items()}


def _file(name: str) -> str:
    """The name of a file in the guest's folder, and of none elsewhere: files of these names are replaced."""
    if not name or "/" in name or "\0" in name or name in {".", ".."}:
        raise ValueError(name)
    return name


def _name(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def _stamp(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return (status.st_size, status.st_mtime_ns, status.st_ino)
