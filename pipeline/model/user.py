"""What users of guests are, and the host keys by which users know guests."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user of a guest; what is None or empty stays what the master has, or is what useradd(8) would choose."""

    name: str
    keys: tuple[str | Path, ...] | None = None
    """Lines for authorized_keys, and files of such lines; None: the master's."""
    password: str | None = None
    """A hash as in crypt(5)."""
    locked: bool | None = None
    sudo: tuple[str, ...] = ()
    """What may follow the user in sudoers(5)."""
    groups: tuple[str, ...] = ()
    shell: PurePosixPath | None = None
    uid: int | None = None
    gid: int | None = None
    home: PurePosixPath | None = None
    comment: str | None = None


class HostKey(StrEnum):
    """The kinds of host keys that sshd has today; see ssh-keygen(1)."""

    ED25519 = "ed25519"
    ECDSA = "ecdsa"
    RSA = "rsa"
