"""What tells others a guest's host keys before its first boot: known_hosts of sshd(8), and SSHFP records (RFC 4255)."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence

from pipeline.model.guest import Guest

RECIPE = 1
"""Raise it when the same keys give other files."""

# RFC 4255 for RSA, RFC 6594 for ECDSA and SHA-256, RFC 7479 for Ed25519.
_ALGORITHMS = {"ssh-rsa": 1, "ecdsa-sha2-nistp256": 3, "ssh-ed25519": 4}
_SHA256 = 2


def names(guest: Guest) -> tuple[str, ...]:
    """What the guest is known as: its name and addresses."""
    addresses = [str(address.ip) for nic in guest.nics for address in nic.addresses]
    return tuple(dict.fromkeys([guest.name, *addresses]))


def known_hosts(guests: Iterable[Sequence[str]], keys: Mapping[str, Sequence[str]]) -> str:
    """A line for each key of each guest, sorted; `guests` are their names(), `keys` the public ones by the first."""
    return "".join(sorted(f"{','.join(known)} {key}\n" for known in guests for key in keys[known[0]]))


def sshfp(guests: Iterable[Sequence[str]], keys: Mapping[str, Sequence[str]]) -> str:
    """Records for the zone that the guests' names are in, sorted; names are relative to it."""
    return "".join(sorted(_record(known[0], key) for known in guests for key in keys[known[0]]))


def _record(name: str, key: str) -> str:
    kind, blob = key.split()[:2]
    digest = hashlib.sha256(base64.b64decode(blob)).hexdigest()
    return f"{name} IN SSHFP {_ALGORITHMS[kind]} {_SHA256} {digest}\n"
