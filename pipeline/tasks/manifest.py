"""Manifests: what artifacts are and what they were made from, so that both can be verified.

Each guest has one, and there is one of what guests share.
"""

import errno
import hashlib
import json
import os
import re
import shlex
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.errors import GuestfarmError
from pipeline.image.files.publish import publish_text

NAME = "manifest.json"

_DIGEST = "digest"
"""The key of the manifest's own SHA-256: over what it would be without this key."""
_SHA256 = re.compile("[0-9a-f]{64}")
_LARGEST = 256 << 20
"""Bytes of a manifest: that of what 10,000 guests share has some thousands."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a manifest says of one file."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Artifact":
        """What there is to say of the file at `path`; its holes count as zeros, as for sha256sum.

        Raises OSError, and GuestfarmError if it is no regular file.
        """
        descriptor = _open(path)
        with os.fdopen(descriptor, "rb") as file:
            return cls(os.fstat(descriptor).st_size, hashlib.file_digest(file, "sha256").hexdigest())

    def difference(self, path: Path) -> str:
        """How the file at `path` differs from it, in words; empty if it does not. Raises OSError."""
        try:
            descriptor = _open(path)
        except FileNotFoundError:
            return "is missing"
        except GuestfarmError as error:
            return error.message.removeprefix(f"{path}: ")
        with os.fdopen(descriptor, "rb") as file:
            size = os.fstat(descriptor).st_size
            if size != self.size:
                return f"has {size} bytes, and had {self.size}"
            found = hashlib.file_digest(file, "sha256").hexdigest()
        return "" if found == self.sha256 else f"SHA-256 is {found}, and was {self.sha256}"


def write(folder: Path, artifacts: Mapping[Path, Artifact], made_from: Mapping[str, Any]) -> None:
    """Publish the manifest of `artifacts`, which are in `folder` or deeper."""
    contents = {
        "artifacts": {str(path.relative_to(folder)): asdict(artifact) for path, artifact in artifacts.items()},
        "made from": made_from,
    }
    publish_text(folder / NAME, _text({**contents, _DIGEST: _digest(contents)}))


def read(folder: Path, guest: str = "") -> dict[Path, Artifact]:
    """What the manifest in `folder`, that of a `guest` or of what guests share, says of each file.

    Raises GuestfarmError if there is none, or a single bit of it is not what was written.
    """
    path, again = folder / NAME, f"doit manifest {shlex.quote(guest)}".strip()
    try:
        with os.fdopen(_open(path), "rb") as file:
            text = file.read(_LARGEST).decode()
        contents = json.loads(text)
        digest = contents.pop(_DIGEST, None)
        if digest is None:
            raise GuestfarmError(f"{path} has no digest: an earlier version wrote it", f"write it again: {again}")
        # The text is compared as well: to JSON, some texts are the same.
        if digest != _digest(contents) or text != _text({**contents, _DIGEST: digest}):
            raise ValueError(path)
        return {folder / _name(name): _artifact(each) for name, each in contents["artifacts"].items()}
    except FileNotFoundError:
        raise GuestfarmError(f"{guest or folder}: no manifest", f"make one with: {again}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise GuestfarmError(f"{path} is damaged", f"write it again: {again}") from error


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a symbolic link; a socket
            raise GuestfarmError(f"{path}: is not a regular file") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise GuestfarmError(f"{path}: is not a regular file")
    return descriptor


def _name(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(name)
    return path


def _artifact(described: Mapping[str, Any]) -> Artifact:
    size, sha256 = described["size"], described["sha256"]
    if type(size) is not int or not _SHA256.fullmatch(sha256):
        raise ValueError(described)
    return Artifact(size, sha256)


def _digest(contents: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text(contents).encode()).hexdigest()


def _text(contents: Mapping[str, Any]) -> str:
    return json.dumps(contents, indent=2, sort_keys=True) + "\n"
