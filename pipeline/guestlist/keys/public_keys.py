"""SSH's public keys, as authorized_keys has them: sshd(8), AUTHORIZED_KEYS FILE FORMAT."""

import binascii
import re
from collections.abc import Iterator

from pipeline.errors import GuestfarmError, quoted

TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
"""The types of keys that sshd takes; ssh-dss is none of them since OpenSSH 7.0."""

_OPTIONS = re.compile(r'(?:[^\s"]|"(?:[^"\\]|\\.)*")+')
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HINT = "it is the whole line of a .pub file, like ssh-ed25519 AAAAC3Nz… you@example"


def is_written_out(text: str) -> bool:
    """Whether `text` is meant to be a key, or keys, and not the name of a file with some."""
    return "\n" in text.strip() or text.startswith("-----BEGIN") or any(word in TYPES for word in text.split())


def parse_keys(text: str) -> tuple[str, ...]:
    """The keys in `text`, one line each, without blank lines and comments. Raises GuestfarmError."""
    if "PRIVATE KEY-----" in text:
        raise GuestfarmError("a private key, which nobody else may have", "give the public one, as in the .pub file")
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        key = line.strip()
        if key and not key.startswith("#"):
            try:
                _check(key)
            except GuestfarmError as error:
                where = f"line {number}: " if "\n" in text.strip() else ""
                raise GuestfarmError(f"{where}{error.message}", error.hint) from error
            keys.append(key)
    if not keys:
        raise GuestfarmError("there is no public key in it", _HINT)
    return tuple(keys)


def _check(key: str) -> None:
    if _CONTROL.search(key):
        raise GuestfarmError("a public key with control characters", _HINT)
    rest = key
    if key.split(maxsplit=1)[0] not in TYPES:  # then options come first
        match = _OPTIONS.match(key)
        rest = key[match.end() :].lstrip() if match else ""
    kind, blob = [*rest.split(maxsplit=2), "", ""][:2]
    if kind not in TYPES:
        raise GuestfarmError(f"expected a public key, found {quoted(key)}", _HINT)
    try:
        fields = list(_fields(binascii.a2b_base64(blob, strict_mode=True)))
    except ValueError as error:
        raise GuestfarmError(f"the public key {quoted(key)} is damaged", _HINT) from error
    if len(fields) < 2 or fields[0] != kind.encode():
        raise GuestfarmError(f"the public key {quoted(key)} is not the {kind} key that it says", _HINT)


def _fields(data: bytes) -> Iterator[bytes]:
    """The strings that a key consists of, each after its length: RFC 4251, 5. Raises ValueError."""
    while data:
        end = 4 + int.from_bytes(data[:4])
        if end > len(data):
            raise ValueError("cut off")
        yield data[4:end]
        data = data[end:]
