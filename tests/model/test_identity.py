"""Identities are functions of names, and stay what they are for ever."""

from uuid import UUID

import pytest

from pipeline.model.identity import base_uuid, machine_id, root_uuid, swap_uuid

pytestmark = pytest.mark.unit


def test_identities_never_change() -> None:
    # Other values here would give every guest of every farm a new identity: do not adapt them to the code.
    assert root_uuid("example", "deb01") == UUID("feddf171-ffa7-50d7-871d-03d5d731369e")
    assert swap_uuid("example", "deb01") == UUID("e4e0faf7-012b-57c4-92ca-f9a86566033e")
    assert machine_id("example", "deb01") == "f9a2b43f6a28551b967bc8e7e42dc51a"
    assert base_uuid("example", "debian-ext4-2G") == UUID("e7ad8418-633d-5b1f-b114-439e9f35d88a")


def test_no_two_purposes_guests_or_farms_share_an_identity() -> None:
    names = [("a", "b"), ("a", "ab"), ("b", "b"), ("aa", "b")]
    identities = [
        identity.hex if isinstance(identity, UUID) else identity
        for farm, guest in names
        for identity in (
            root_uuid(farm, guest),
            swap_uuid(farm, guest),
            machine_id(farm, guest),
            base_uuid(farm, f"{guest}-ext4-2G"),
        )
    ]
    assert len(set(identities)) == len(identities)


def test_a_machine_id_is_32_lower_case_hexadecimal_digits() -> None:
    identity = machine_id("example", "deb01")
    assert len(identity) == 32
    assert set(identity) <= set("0123456789abcdef")
