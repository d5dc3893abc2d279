"""What editors say of guest lists. That good ones are valid, test_farm_load.py sees to with each that it loads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pipeline.guestlist.export.json_schema import json_schema
from pipeline.guestlist.keys import guest as guest_keys
from pipeline.hypervisors import BY_NAME
from tests import schemas

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]

HEAD = """\
farm: example
masters: {debian: {bootstrap: {suite: bookworm}}}
defaults: {master: debian, network: {bridge: xenbr0, gateway: 10.0.0.1}}
"""


@pytest.mark.parametrize(
    "guest",
    [
        "a: {address: dhcp, vcpus: 2}",
        "a: {address: dhcp, vcpus: '2'}",
        "a: {address: dhcp, swap: none, root: 3G}",
        "a: {address: 10.0.0.9/24, mac: 00:16:3E:00:00:09}",
        "a: ~",
        "'a[1:3]': {address: '10.0.0.[1:3]/24', vcpus: '[1:3]', root: {size: '[1:3]G'}, mac: {a2: 00:16:3e:00:00:02}}",
        "'a[1:2]': {network: {bridge: 'br[1:2]', nameservers: ['10.0.0.[1:2]', 10.0.0.9]}, address: dhcp}",
    ],
)
def test_what_is_good(guest: str) -> None:
    schemas.check(f"{HEAD}guests: {{{guest}}}\n")


@pytest.mark.parametrize(
    ("guest", "path"),
    [
        ("a: {memroy: 1G}", "guests/a"),
        ("a: {memory: 512}", "guests/a/memory"),
        ("a: {memory: 12x}", "guests/a/memory"),
        ("a: {vcpus: 0}", "guests/a/vcpus"),
        ("a: {vcpus: two}", "guests/a/vcpus"),
        ("a: {vcpus: }", "guests/a/vcpus"),
        ("a: {root: {size: 2G, fs: xfs}}", "guests/a/root"),
        ("a: {swap: no}", "guests/a/swap"),
        ("a: {address: 10.0.0.9}", "guests/a/address"),
        ("a: {mac: '00163E000009'}", "guests/a/mac"),
        ("a: {hypervisors: [xen, xne]}", "guests/a/hypervisors"),
        ("a: {hypervisors: [xen, xen]}", "guests/a/hypervisors"),
        ("a: {hypervisors: []}", "guests/a/hypervisors"),
        ("a: {kernel: boot/vmlinuz}", "guests/a/kernel"),
        ("a: [1G]", "guests/a"),
        ("a: {address: '10.0.0.[1:3]/24'}", "guests/a/address"),
        ("'a[1:3]': {memory: '[1-3]G'}", "guests/a[1:3]/memory"),
        ("'a[1-3]': {}", "guests"),
        ("'-a': {}", "guests"),
        ("'12': {}", "guests"),
        (f"{'a' * 64}: {{}}", "guests"),
        ("", "guests"),
    ],
)
def test_bad_guests(guest: str, path: str) -> None:
    assert schemas.errors(f"{HEAD}guests: {{{guest}}}\n") == [path]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("guests: {a: {}}\n", ""),
        ("farm: f\n", ""),
        ("farm: f\ngests: {}\nguests: {a: {}}\n", ""),
        ("farm: 'a b'\nguests: {a: {}}\n", "farm"),
        ("farm: f\nimages: srv\nguests: {a: {}}\n", "images"),
        ("farm: f\nmasters: {m: {}}\nguests: {a: {}}\n", "masters/m"),
        ("farm: f\nmasters: {m: {tar: a, image: b}}\nguests: {a: {}}\n", "masters/m"),
        ("farm: f\nmasters: {m: {bootstrap: {packages: [nginx]}}}\nguests: {a: {}}\n", "masters/m/bootstrap"),
        (
            "farm: f\nmasters: {m: {bootstrap: {suite: sid, variant: mini}}}\nguests: {a: {}}\n",
            "masters/m/bootstrap/variant",
        ),
        ("farm: f\ndefaults: {mac: 00:16:3e:00:00:01}\nguests: {a: {}}\n", "defaults"),
        ("farm: f\ndefaults: {address: 10.0.0.9/24}\nguests: {a: {}}\n", "defaults/address"),
    ],
)
def test_bad_lists(text: str, path: str) -> None:
    assert schemas.errors(text) == [path]


def test_a_hypervisor_that_is_not_known_is_any_name() -> None:
    names = json_schema({})["$defs"]["guest"]["properties"]["hypervisors"]
    assert Draft202012Validator(names).is_valid(["vbox"])
    assert schemas.errors(f"{HEAD}guests: {{a: {{hypervisors: [vbox]}}}}\n") == ["guests/a/hypervisors"]


def test_every_key_is_described() -> None:
    schema = json_schema(BY_NAME)

    def keys(part: Any) -> Iterator[tuple[str, Any]]:
        for name, value in part.get("properties", {}).items():
            yield name, value
            yield from keys(value)
        for form in part.get("anyOf", ()):
            yield from keys(form)

    named = [*keys(schema), *(found for each in schema["$defs"].values() for found in keys(each))]
    assert {name for name, _ in named} >= set(guest_keys.GUEST.items) | {"size", "suite", "guests"}
    assert [name for name, value in named if not value.get("description")] == []


def test_defaults_are_as_the_list_would_have_them() -> None:
    guest = json_schema(BY_NAME)["$defs"]["guest"]["properties"]
    assert [guest[name]["default"] for name in ("memory", "vcpus", "swap", "hypervisors", "on_crash")] == [
        *("512M", 1, "none", ["xen"], "destroy")
    ]
    assert "default" not in guest["master"]
