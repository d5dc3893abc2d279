"""MAC addresses: written by people, derived from names, chosen at random."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import GuestfarmError
from pipeline.model.mac import derived_mac, free_mac, parse_mac, random_mac

pytestmark = pytest.mark.unit

OURS = re.compile("00:16:3e:[0-7][0-9a-f]:[0-9a-f]{2}:[0-9a-f]{2}")


@pytest.mark.parametrize(
    ("text", "mac"),
    [("00:16:3E:17:35:50", "00:16:3e:17:35:50"), ("52:54:00:ab:CD:ef", "52:54:00:ab:cd:ef")],
)
def test_a_mac_is_read_in_either_case(text: str, mac: str) -> None:
    assert parse_mac(text) == mac


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "00-16-3E-17-35-50",
            "expected a MAC address like 00:16:3e:12:34:56, found '00-16-3E-17-35-50'; write 00:16:3e:17:35:50",
        ),
        ("00:16:3e:17:35", "expected a MAC address like 00:16:3e:12:34:56, found '00:16:3e:17:35'"),
        ("00:16:3e:17:35:5", "expected a MAC address like 00:16:3e:12:34:56, found '00:16:3e:17:35:5'"),
        ("00:16:3e:17:35:5g", "expected a MAC address like 00:16:3e:12:34:56, found '00:16:3e:17:35:5g'"),
        ("00:16:3e:17:35:50\n", "expected a MAC address like 00:16:3e:12:34:56, found '00:16:3e:17:35:50\\n'"),
        ("01:00:5E:00:00:01", "01:00:5e:00:00:01 is a multicast address, which no network card may have"),
        ("ff:ff:ff:ff:ff:ff", "ff:ff:ff:ff:ff:ff is a multicast address, which no network card may have"),
        ("00:00:00:00:00:00", "00:00:00:00:00:00 is no network card's address"),
    ],
)
def test_what_is_no_card_s_address_is_refused(text: str, error: str) -> None:
    with pytest.raises(GuestfarmError) as caught:
        parse_mac(text)
    assert str(caught.value) == error


def test_derived_macs_never_change() -> None:
    # The low 23 bits of the first three bytes that `printf example/deb01 | sha256sum` prints. Another result would
    # give every guest of every farm another MAC address: do not adapt it to the code.
    assert derived_mac("example", "deb01") == "00:16:3e:60:e9:90"


@given(st.text(max_size=10), st.text(max_size=10))
def test_derived_macs_are_unicast_and_in_our_half_of_xen_s_oui(farm: str, guest: str) -> None:
    mac = derived_mac(farm, guest)
    assert OURS.fullmatch(mac)
    assert parse_mac(mac) == mac


def test_farm_and_guest_both_count() -> None:
    macs = {derived_mac(farm, guest) for farm in ("a", "b") for guest in ("a", "b", "ab")}
    assert len(macs) == 6


def test_a_free_mac_is_the_same_each_time_and_not_taken() -> None:
    first = free_mac("example", "deb01", set())
    assert OURS.fullmatch(first)
    assert free_mac("example", "deb01", set()) == first
    second = free_mac("example", "deb01", {first})
    assert second != first
    assert free_mac("example", "deb01", {first}) == second


def test_random_macs_differ_and_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter([1, 1, 2, (1 << 23) - 1])
    monkeypatch.setattr("secrets.randbits", lambda bits: next(numbers))
    assert random_mac(set()) == "00:16:3e:00:00:01"
    assert random_mac({"00:16:3e:00:00:01"}) == "00:16:3e:00:00:02"
    assert random_mac(set()) == "00:16:3e:7f:ff:ff"


def test_random_macs_are_ours() -> None:
    assert all(OURS.fullmatch(random_mac(set())) for _ in range(100))
