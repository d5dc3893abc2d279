"""What tells a guest from its clones, derived from the names of farm and guest alone.

So the same list gives the same identity on any machine, and a new guest changes nobody else's.
"""

from functools import lru_cache
from uuid import UUID, uuid5

_GUESTFARM = UUID("d2b99bfa-6926-4b67-bfc4-eccad18a01c3")
"""Chosen at random once. Another one would give every guest of every farm a new identity."""


def root_uuid(farm: str, guest: str) -> UUID:
    """The UUID of a guest's root file system."""
    return uuid5(_namespace(farm), f"{guest}/root")


def swap_uuid(farm: str, guest: str) -> UUID:
    """The UUID of a guest's swap area."""
    return uuid5(_namespace(farm), f"{guest}/swap")


def disk_uuid(farm: str, guest: str, disk: str) -> UUID:
    """The UUID of the file system of another disk of a guest's."""
    return uuid5(_namespace(farm), f"{guest}/disk/{disk}")


def machine_id(farm: str, guest: str) -> str:
    """A guest's machine ID: 32 lower case hexadecimal digits, not all zeros, as machine-id(5) wants it."""
    return uuid5(_namespace(farm), f"{guest}/machine-id").hex


def domain_uuid(farm: str, guest: str) -> UUID:
    """The UUID of a guest itself, as hypervisors know it."""
    return uuid5(_namespace(farm), f"{guest}/domain")


def base_uuid(farm: str, base: str) -> UUID:
    """The UUID and hash seed of a base's file system, which its clones keep the seed of."""
    return uuid5(_namespace(farm), f"base/{base}")


@lru_cache(maxsize=16)
def _namespace(farm: str) -> UUID:
    return uuid5(_GUESTFARM, farm)
