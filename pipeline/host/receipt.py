"""Receipts: what was deployed to a guest's folder in the image store, and from which build."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import HostError
from pipeline.image.files.publish import PUBLIC, publish_text

NAME = "deployed.json"


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
class Receipt:
    """What is on record of a deployed guest."""

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

    def write(self, folder: Path) -> None:
        """Put it into the guest's folder. Raises ImageError."""
        publish_text(folder / NAME, json.dumps(asdict(self), indent=2) + "\n", mode=PUBLIC)

    @classmethod
    def read(cls, folder: Path) -> "Receipt | None":
        """The one in `folder`, if there is one. Raises HostError if it is damaged."""
        path = folder / NAME
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                deployed=str(fields["deployed"]),
                modules=fields["modules"],
                disks={name: dict(inputs) for name, inputs in fields["disks"].items()},
                boot={name: Known.read(of) for name, of in fields["boot"].items()},
                configs={name: Known.read(of) for name, of in fields["configs"].items()},
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            raise HostError(f"{path}: {error.strerror}") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
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


def digest(value: object) -> str:
    """A short digest of a JSON value, to tell whether it is the same later without giving it away."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _stamp(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return (status.st_size, status.st_mtime_ns, status.st_ino)
