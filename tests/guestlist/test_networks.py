"""Several network cards, named networks, and addresses that are taken from a pool."""

from ipaddress import IPv4Address, IPv6Address, ip_interface, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import guestlist
from pipeline.errors import GuestfarmError, ListError
from pipeline.hypervisors import BY_NAME
from pipeline.model.addresses import parse_host_part, parse_pool, parse_subnet, pool_of
from pipeline.model.farm import Farm
from pipeline.model.mac import derived_mac
from pipeline.model.network import Nic, NicModel, Route
from tests import schemas

pytestmark = pytest.mark.unit

HEAD = "farm: f\nmasters: {m: {bootstrap: {suite: sid}}}\n"


def load(folder: Path, text: str) -> Farm:
    path = folder / "guests.yaml"
    path.write_text(HEAD + text)
    schemas.check(HEAD + text)
    return guestlist.load(path, hypervisors=BY_NAME)


def nics(folder: Path, guest: str, network: str = "{bridge: br0}", networks: str = "") -> tuple[Nic, ...]:
    """The cards of a guest with these keys, with these defaults."""
    text = f"{networks}defaults: {{master: m, network: {network}}}\nguests: {{g: {guest}}}\n"
    return load(folder, text).guests["g"].nics


def addresses(nic: Nic) -> list[str]:
    return [str(address) for address in nic.addresses]


# --- Several cards ---


def test_a_card_with_everything(tmp_path: Path) -> None:
    (nic,) = nics(
        tmp_path,
        """{network: {
        bridge: br1, address: [10.0.0.9/24, "2001:db8::9/64", 10.1.0.9/24], gateway: [10.0.0.1, fe80::1],
        routes: [{to: 10.9.0.0/16, via: 10.0.0.254}, {to: "2001:db8:9::/48", via: "fe80::2"}],
        nameservers: [10.0.0.2], search: [example.org, lab.example.org], dhcp6: true, accept_ra: false,
        mtu: 9000, vlan: 20,
        model: e1000, mac: 00:16:3e:00:00:09}, hypervisors: [libvirt]}""",
    )
    assert nic == Nic(
        mac="00:16:3e:00:00:09",
        bridge="br1",
        addresses=tuple(map(ip_interface, ("10.0.0.9/24", "2001:db8::9/64", "10.1.0.9/24"))),
        dhcp6=True,
        accept_ra=False,
        gateways=(IPv4Address("10.0.0.1"), IPv6Address("fe80::1")),
        routes=(
            Route(to=ip_network("10.9.0.0/16"), via=IPv4Address("10.0.0.254")),
            Route(to=ip_network("2001:db8:9::/48"), via=IPv6Address("fe80::2")),
        ),
        nameservers=(IPv4Address("10.0.0.2"),),
        search=("example.org", "lab.example.org"),
        mtu=9000,
        vlan=20,
        model=NicModel.E1000,
    )


def test_cards_merge_by_place(tmp_path: Path) -> None:
    defaults = "[{bridge: br0, gateway: 10.0.0.1}, {bridge: br1, address: dhcp, mtu: 9000}]"
    one, two = nics(tmp_path, "{address: 10.0.0.9/24}", defaults)
    assert (one.bridge, addresses(one), one.gateways) == ("br0", ["10.0.0.9/24"], (IPv4Address("10.0.0.1"),))
    assert (two.bridge, two.dhcp4, two.mtu, two.gateways) == ("br1", True, 9000, ())
    one, two = nics(tmp_path, "{network: {bridge: br7, address: 10.0.0.9/24}}", defaults)
    assert (one.bridge, two.bridge) == ("br7", "br1")
    one, two, three = nics(
        tmp_path, "{address: 10.0.0.9/24, network: [{}, {mtu: 1400}, {bridge: br2, address: none}]}", defaults
    )
    assert (addresses(one), two.mtu, two.dhcp4, three.bridge) == (["10.0.0.9/24"], 1400, True, "br2")
    assert (three.addresses, three.dhcp4) == ((), False)
    (one,) = nics(tmp_path, "{network: [{address: 10.0.0.9/24}]}", defaults)
    assert one.bridge == "br0"
    assert nics(tmp_path, "{network: none}", defaults) == ()


def test_macs_of_further_cards_are_derived_from_their_numbers(tmp_path: Path) -> None:
    found = nics(tmp_path, "{network: [{address: dhcp}, {bridge: b, address: dhcp}, {bridge: c, address: dhcp}]}")
    # As `printf f/g/nic/2 | sha256sum` has them: do not adapt it to the code.
    assert [nic.mac for nic in found] == [derived_mac("f", "g"), "00:16:3e:22:c7:4a", "00:16:3e:41:f6:43"]
    assert found[0].mac == nics(tmp_path, "{address: dhcp}")[0].mac


def test_ranges_in_lists(tmp_path: Path) -> None:
    listed = load(
        tmp_path,
        """\
guests:
  w[1:3]:
    master: m
    network:
      - {bridge: br0, address: ["10.0.0.[11:13]/24", "2001:db8::[1:3]/64"], mac: {w2: 00:16:3e:00:00:02}}
      - {bridge: "br[4:6]", address: "10.1.0.[11:13]/24", mac: "00:16:3e:00:01:0[1:3]"}
""",
    )
    found = {name: guest.nics for name, guest in listed.guests.items()}
    assert [addresses(nics[0]) for nics in found.values()] == [
        [f"10.0.0.{number + 10}/24", f"2001:db8::{number}/64"] for number in (1, 2, 3)
    ]
    assert [(nics[1].bridge, addresses(nics[1])) for nics in found.values()] == [
        (f"br{number + 3}", [f"10.1.0.{number + 10}/24"]) for number in (1, 2, 3)
    ]
    assert [nics[1].mac for nics in found.values()] == [f"00:16:3e:00:01:0{number}" for number in (1, 2, 3)]
    assert found["w2"][0].mac == "00:16:3e:00:00:02"
    assert found["w1"][0].mac == derived_mac("f", "w1")


def test_what_is_inherited_goes_with_fixed_addresses_of_its_version(tmp_path: Path) -> None:
    defaults = (
        "{bridge: br0, gateway: [10.0.0.1, fe80::1], nameservers: [9.9.9.9], search: a.example,"
        ' routes: [{to: 10.9.0.0/16, via: 10.0.0.254}, {to: "2001:db8:9::/48", via: "fe80::2"}]}'
    )
    (nic,) = nics(tmp_path, "{address: 10.0.0.9/24}", defaults)
    assert (list(map(str, nic.gateways)), [str(route.via) for route in nic.routes]) == (["10.0.0.1"], ["10.0.0.254"])
    assert (nic.nameservers, nic.search) == ((IPv4Address("9.9.9.9"),), ("a.example",))
    (nic,) = nics(tmp_path, '{address: [dhcp, "2001:db8::9/64"]}', defaults)
    assert (nic.dhcp4, list(map(str, nic.gateways))) == (True, ["fe80::1"])
    assert (nic.nameservers, nic.search) == ((), ())
    (nic,) = nics(tmp_path, "{}", "{bridge: br0, address: dhcp, gateway: 10.0.0.1, nameservers: [9.9.9.9]}")
    assert (nic.dhcp4, nic.gateways, nic.nameservers) == (True, (), (IPv4Address("9.9.9.9"),))


def test_the_same_address_on_two_bridges_or_vlans(tmp_path: Path) -> None:
    listed = load(
        tmp_path,
        """\
defaults: {master: m}
guests:
  a: {network: {bridge: br0, address: 10.0.0.9/24}}
  b: {network: {bridge: br1, address: 10.0.0.9/16}}
  c: {network: [{bridge: br0, address: 10.0.0.9/24, vlan: 2}, {bridge: br2, address: 10.0.0.9/24}]}
  vip: {network: {bridge: br0, address: [10.0.0.10/24, 10.0.0.8/32]}}
""",
    )
    assert len(listed.guests) == 4


# --- Named networks ---

LAN = (
    'networks: {lan: {bridge: br0, subnet: [10.0.0.0/24, "2001:db8::/64", 10.0.1.0/26], gateway: [10.0.0.1, fe80::1],'
    " nameservers: [10.0.0.2], search: example.org, mtu: 1400, vlan: 7, accept_ra: false,"
    " routes: {to: 10.9.0.0/16, via: 10.0.0.3}}, dmz: {bridge: br9}}\n"
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (".21", ["10.0.0.21/24"]),
        (".1.21", ["10.0.1.21/26"]),
        (".0.1.21", ["10.0.1.21/26"]),
        ('"::21"', ["2001:db8::21/64"]),
        ('"::a:21"', ["2001:db8::a:21/64"]),
        ('[".22", "::22"]', ["10.0.0.22/24", "2001:db8::22/64"]),
        ("10.0.1.5/26", ["10.0.1.5/26"]),
    ],
)
def test_a_named_network_says_the_rest(tmp_path: Path, given: str, expected: list[str]) -> None:
    (nic,) = nics(tmp_path, f"{{network: {{use: lan, address: {given}}}}}", networks=LAN)
    assert addresses(nic) == expected
    assert (nic.bridge, nic.mtu, nic.vlan, nic.accept_ra) == ("br0", 1400, 7, False)
    assert (list(map(str, nic.nameservers)), nic.search) == (["10.0.0.2"], ("example.org",))
    first = {"10.0.0": "10.0.0.1", "2001:d": "fe80::1"}
    assert [str(gateway) for gateway in nic.gateways] == [first[text[:6]] for text in expected if text[:6] in first]
    assert len(nic.routes) == expected[0].startswith("10.0.0.")


def test_who_says_use_starts_afresh_and_may_refine(tmp_path: Path) -> None:
    defaults = "{use: lan, address: dhcp, mtu: 1300}"
    (nic,) = nics(tmp_path, "{}", defaults, LAN)
    assert (nic.bridge, nic.dhcp4, nic.mtu, nic.gateways, nic.nameservers) == ("br0", True, 1300, (), ())
    (nic,) = nics(tmp_path, "{network: {use: dmz}}", defaults, LAN)
    assert (nic.bridge, nic.dhcp4, nic.mtu, nic.vlan) == ("br9", True, None, None)
    (nic,) = nics(tmp_path, "{network: {use: lan, mtu: 1280, vlan: none}}", defaults, LAN)
    assert (nic.mtu, nic.vlan) == (1280, None)
    (nic,) = nics(tmp_path, "{network: {use: none, bridge: b}}", defaults, LAN)
    assert (nic.bridge, nic.mtu) == ("b", 1300)


def test_ends_of_addresses_in_ranges(tmp_path: Path) -> None:
    text = f'{LAN}guests: {{"w[1:3]": {{master: m, network: [{{use: lan, address: ".[21:23]"}}]}}}}\n'
    guests = load(tmp_path, text).guests.values()
    assert [addresses(guest.nics[0]) for guest in guests] == [[f"10.0.0.{number}/24"] for number in (21, 22, 23)]


# --- The next free address ---

POOL = "networks: {lan: {bridge: br0, subnet: 10.0.0.0/24, pool: 10.0.0.10-10.0.0.19, gateway: 10.0.0.12}}\n"


def next_addresses(folder: Path, guests: dict[str, str], networks: str = POOL) -> dict[str, str]:
    """What guests get by their `address`, in the order of the list."""
    lines = "".join(f"  {name}: {{address: {address}}}\n" for name, address in guests.items())
    path = folder / "guests.yaml"
    path.write_text(f"{HEAD}{networks}defaults: {{master: m, network: {{use: lan}}}}\nguests:\n{lines}")
    listed = guestlist.load(path, hypervisors=BY_NAME)
    return {name: ", ".join(addresses(guest.nics[0])) for name, guest in listed.guests.items()}


def test_the_next_addresses_never_change(tmp_path: Path) -> None:
    # Where the first 16 bytes that `printf f/lan/a | sha256sum` prints are in the pool. Another result would move every
    # guest of every farm: do not adapt it to the code.
    networks = "networks: {lan: {bridge: br0, subnet: 10.0.0.0/8, pool: 10.1.0.0-10.1.255.255}}\n"
    assert next_addresses(tmp_path, dict.fromkeys("abc", "next"), networks) == {
        "a": "10.1.176.87/8",
        "b": "10.1.155.181/8",
        "c": "10.1.243.71/8",
    }


def test_a_pool_can_be_used_up_and_extended(tmp_path: Path) -> None:
    guests = dict.fromkeys("abcdefghi", "next")
    found = next_addresses(tmp_path, guests)
    assert sorted(found.values()) == [f"10.0.0.{number}/24" for number in range(10, 20) if number != 12]
    with pytest.raises(ListError) as caught:
        next_addresses(tmp_path, {**guests, "late": "next"})
    assert "the network 'lan' has no free address left; add another pool at the end" in str(caught.value)
    more = POOL.replace("10.0.0.10-10.0.0.19", "[10.0.0.10-10.0.0.19, 10.0.0.200-10.0.0.201]")
    after = next_addresses(tmp_path, {**guests, "late": "next"}, more)
    assert {name: after[name] for name in found} == found
    assert after["late"] in {"10.0.0.200/24", "10.0.0.201/24"}


def test_one_of_each_version(tmp_path: Path) -> None:
    networks = 'networks: {lan: {bridge: br0, subnet: ["2001:db8::/64", 10.0.0.0/30], gateway: 10.0.0.1}}\n'
    found = next_addresses(tmp_path, {"a": "next"}, networks)["a"].split(", ")
    assert ip_interface(found[0]) in ip_network("2001:db8::/64") or found[0].startswith("2001:db8:")
    assert found[1] == "10.0.0.2/30"


def test_cards_of_one_guest_on_one_network_differ(tmp_path: Path) -> None:
    text = f"{POOL}guests: {{a: {{master: m, network: [{{use: lan, address: next}}, {{use: lan, address: next}}]}}}}\n"
    one, two = load(tmp_path, text).guests["a"].nics
    assert addresses(one) != addresses(two)


NAMES = st.lists(st.from_regex("[a-z]{1,3}", fullmatch=True), min_size=1, max_size=9, unique=True)


@given(NAMES, st.data())
def test_nobody_shares_an_address_and_the_last_one_moves_nobody(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    fixed = data.draw(st.sampled_from([".10", ".15", ".200"]))
    guests = {names[0]: fixed, **dict.fromkeys(names[1:], "next")}
    found = next_addresses(folder, guests)
    assert len(set(found.values())) == len(names)
    ends = {int(ip_interface(address).ip) & 0xFF for name, address in found.items() if name != names[0]}
    assert ends <= {*range(10, 20)} - {12}
    before = next_addresses(folder, dict(list(guests.items())[:-1])) if len(names) > 1 else {}
    assert {name: found[name] for name in before} == before


@given(NAMES, st.data())
def test_who_goes_moves_only_those_who_wanted_that_address(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], data: st.DataObject
) -> None:
    """In a pool so large that nobody wants another's address, any order and any guests give each the same."""
    folder = tmp_path_factory.getbasetemp()
    networks = "networks: {lan: {bridge: br0, subnet: '2001:db8::/64'}}\n"
    everybody = next_addresses(folder, dict.fromkeys(names, "next"), networks)
    some = data.draw(st.permutations(names))[: data.draw(st.integers(1, len(names)))]
    assert next_addresses(folder, dict.fromkeys(some, "next"), networks) == {name: everybody[name] for name in some}


def test_an_earlier_guest_leaves_its_address_to_who_wanted_it(tmp_path: Path) -> None:
    """What docs/networks.md says of collisions: by chance, `b` and `d` want the same one of these nine."""
    found = next_addresses(tmp_path, dict.fromkeys("abcdefghi", "next"))
    alone = {name: next_addresses(tmp_path, {name: "next"})[name] for name in found}
    moved = [name for name in found if alone[name] != found[name]]
    assert moved, "in a full pool somebody does not get the address that its name says"
    for name in moved:
        assert alone[name] in [found[other] for other in found if other < name]


# --- Texts ---


@pytest.mark.parametrize(
    ("subnet", "pool"),
    [
        ("10.0.0.0/24", "10.0.0.1-10.0.0.254"),
        ("10.0.0.0/31", "10.0.0.0-10.0.0.1"),
        ("10.0.0.9/32", "10.0.0.9-10.0.0.9"),
        ("2001:db8::/64", "2001:db8::1-2001:db8::ffff:ffff:ffff:ff7f"),
        ("2001:db8::/127", "2001:db8::-2001:db8::1"),
    ],
)
def test_all_of_a_subnet_that_machines_may_have(subnet: str, pool: str) -> None:
    assert pool_of(parse_subnet(subnet)) == parse_pool(pool)
    assert str(pool_of(parse_subnet(subnet))) == pool


@pytest.mark.parametrize("text", ["", ".", ".1.", ".256", ".01", ".1.2.3.4", "::", ".x", "1", ":1", "::g", ".-1", "٣"])
def test_what_is_no_end_of_an_address(text: str) -> None:
    if text == "::":
        assert parse_host_part(text).value == 0
        return
    with pytest.raises(GuestfarmError):
        parse_host_part(text)


@given(st.integers(0, 2**32 - 1), st.integers(0, 32), st.lists(st.integers(0, 255), min_size=1, max_size=3))
def test_an_end_of_an_address_is_found_in_its_subnet_or_nowhere(number: int, length: int, ends: list[int]) -> None:
    subnet = ip_network((number >> (32 - length) << (32 - length), length))
    text = "".join(f".{end}" for end in ends)
    found = parse_host_part(text).within(subnet)
    if found is None:
        assert length > 32 - 8 * len(ends)
    else:
        assert found.ip in subnet
        assert str(found.ip).endswith(text)
        assert found.network == subnet


# --- What is wrong ---

A_CARD = (
    "expected a mapping of use, bridge, address, gateway, routes, nameservers, search, dhcp6, accept_ra, mtu, vlan,"
    " model, mac"
)
BAD_HEAD = """\
networks: {lan: {bridge: br0, subnet: [10.0.0.0/24, 10.0.1.64/26], gateway: 10.0.0.1}, bare: {bridge: br1}}
defaults: {master: m, network: {bridge: br0}}
guests:
"""
BAD = [
    ("  a: {network: []}", ["6:16: guest 'a': network: 0 network cards; give 1 to 8, or none"]),
    (
        "  a: {network: [{address: dhcp}, br0, {bridge: br1}]}",
        [
            "6:3: guest 'a': network.3.address is missing; give an address with its prefix length like 10.0.0.11/24,"
            " dhcp, next or none, or a list of such",
            f"6:34: guest 'a': network.2: {A_CARD}, found 'br0'",
        ],
    ),
    (
        "  a: {network: [{address: dhcp}, {address: dhcp}]}",
        [
            "6:3: guest 'a': network.2.bridge is missing; give the name of a bridge like xenbr0, here or under"
            " 'defaults'"
        ],
    ),
    (
        "  a: {network: [{address: dhcp, mac: 00:16:3e:00:00:01}], mac: 00:16:3e:00:00:02}",
        ["6:64: guest 'a': mac: given twice; the first is in line 6"],
    ),
    (
        "  a: {network: [{address: dhcp}, {bridge: b, address: dhcp, mac: {b: 00:16:3e:00:00:01}}]}",
        ["6:67: guest 'a': mac: there is no guest 'b' here"],
    ),
    (
        "  a: {network: {address: [10.0.0.9/24, 10.0.0.9/24]}}",
        ["6:40: guest 'a': network.address: '10.0.0.9/24' is in the list already"],
    ),
    (
        "  a: {network: {address: [none, dhcp]}}\n  b: {network: {use: lan, address: [dhcp, next]}}",
        [
            "6:27: guest 'a': none stands beside an address; remove one of them",
            "7:37: guest 'b': dhcp stands beside next; remove one of them",
        ],
    ),
    (
        "  a: {address: next}\n  b: {address: .21}\n  c: {address: '::21'}\n  d: {address: .256}",
        [
            "6:16: guest 'a': next is a free address of a named network; say which, as use: lan",
            "7:16: guest 'b': .21 is the end of an address in a named network; say which, as use: lan",
            "8:16: guest 'c': ::21 is the end of an address in a named network; say which, as use: lan",
            "9:16: guest 'd': address: expected the end of an address like .21 or ::21, found '.256'",
        ],
    ),
    (
        "  a: {network: {use: lam, address: .21}}\n  b: {network: {use: bare, address: next}}\n"
        "  c: {network: {use: bare, address: .21}}",
        [
            "6:22: guest 'a': there is no network 'lam'; did you mean 'lan'?",
            "7:37: guest 'b': the network 'bare' has no subnet; give it one",
            "8:37: guest 'c': the network 'bare' has no subnet; give it one",
        ],
    ),
    (
        "  a: {network: {use: lan, address: '::21'}}\n  b: {network: {use: lan, address: .255}}\n"
        "  c: {network: {use: lan, address: 10.0.2.1/24}}\n  d: {network: {use: lan, address: 10.0.0.9/16}}\n"
        "  e: {network: {use: lan, address: .1}}",
        [
            "6:36: guest 'a': no address in 10.0.0.0/24, 10.0.1.64/26 of network 'lan' ends with ::21",
            "7:36: guest 'b': 10.0.0.255 is the broadcast address of the subnet 10.0.0.0/24;"
            " choose an address inside it",
            "8:36: guest 'c': 10.0.2.1/24 is not in the network 'lan', which has 10.0.0.0/24, 10.0.1.64/26",
            "9:36: guest 'd': 10.0.0.9/16 is not in the network 'lan', which has 10.0.0.0/24, 10.0.1.64/26",
            "9:36: guest 'd': its subnet 10.0.0.0/16 overlaps with 10.0.0.0/24 of guest 'b' in line 7;"
            " give both the same prefix length, as they are on bridge br0",
            "10:36: guest 'e': the gateway 10.0.0.1 is the guest's own address;"
            " give the guest a gateway of its own, or none",
        ],
    ),
    (
        "  a: {network: {address: 10.0.0.9/24, gateway: [10.0.0.1, 10.0.0.2]}}",
        ["6:48: guest 'a': network.gateway: 2 gateways; one for each version of IP; more are routes"],
    ),
    (
        "  a: {network: {address: none, gateway: 10.0.0.1}}",
        ["6:41: guest 'a': the gateway 10.0.0.1 is of no use without an address"],
    ),
    (
        "  a: {network: {address: 10.0.0.9/24, routes: [{to: 10.9.0.0/16, via: 10.0.5.1}]}}\n"
        "  b: {network: {address: 10.0.0.10/24, routes: {to: 10.9.0.0/16, via: 10.0.0.10}}}",
        [
            "6:47: guest 'a': the router 10.0.5.1 is outside the subnet 10.0.0.0/24",
            "7:48: guest 'b': the router 10.0.0.10 is the guest's own address",
        ],
    ),
    (
        "  a: {network: {address: dhcp, routes: [{to: 10.9.0.1/16}, {to: 0.0.0.0/0, via: 10.0.0.1}, x,"
        " {to: '2001:db8::/32', via: 10.0.0.1}, {to: 10.9.0.0/16, via: 10.0.0.1, metric: 1}]}}",
        [
            "6:41: guest 'a': network.routes: via is missing; give a route like {to: 10.9.0.0/16, via: 10.0.0.254}",
            "6:46: guest 'a': network.routes.to: 10.9.0.1/16 is an address in a subnet; write 10.9.0.0/16",
            "6:60: guest 'a': network.routes: the route to 0.0.0.0/0 is that of the gateway; give gateway: instead",
            "6:92: guest 'a': network.routes: expected a route like {to: 10.9.0.0/16, via: 10.0.0.254}, found 'x'",
            "6:95: guest 'a': network.routes: 10.0.0.1 knows no way to 2001:db8::/32; both are IPv4, or both IPv6",
            "6:166: guest 'a': network.routes: unknown key 'metric'; known: to, via",
        ],
    ),
    (
        "  a: {network: {address: dhcp, mtu: 67, vlan: 4095, dhcp6: maybe, search: a..b, model: ne2k}}",
        [
            "6:37: guest 'a': network.mtu: expected a whole number from 68 to 65535, found '67'",
            "6:47: guest 'a': network.vlan: expected a whole number from 1 to 4094, found '4095'",
            "6:60: guest 'a': network.dhcp6: expected true or false, found 'maybe'",
            "6:75: guest 'a': network.search: expected a domain like example.org, found 'a..b';"
            " letters, digits and '-', and '.' between parts",
            "6:88: guest 'a': network.model: expected one of virtio, e1000, e1000e, rtl8139, vmxnet3, found 'ne2k'",
        ],
    ),
    (
        "  a: {network: {address: '2001:db8::9/64', mtu: 1200}}",
        ["6:49: guest 'a': mtu: 1200 is too small for IPv6; give 1280 at least"],
    ),
    (
        "  a: {network: {address: dhcp, model: e1000}}",
        [
            "6:39: guest 'a': xen has no card to imitate for a PV guest;"
            " remove it, or say 'model: none' for guests of Xen"
        ],
    ),
    (
        "  a: {network: [{address: 10.0.0.9/24}, {bridge: br0, address: 10.0.0.9/24}]}",
        ["6:64: guest 'a': the address 10.0.0.9 is that of another card of the guest; give another"],
    ),
    (
        "  a: {network: {use: lan, address: .9, vlan: 3}}\n"
        "  b: {network: {bridge: br0, vlan: 3, address: 10.0.0.12/28}}",
        [
            "7:48: guest 'b': its subnet 10.0.0.0/28 overlaps with 10.0.0.0/24 of guest 'a' in line 6;"
            " give both the same prefix length, as they are on VLAN 3 of bridge br0"
        ],
    ),
    (
        '  "a[1:3]": {address: "10.0.0.[1:3]/24"}\n  "b[1:3]": {address: "10.0.0.[4:6]/25"}',
        [
            "7:23: guest 'b1': its subnet 10.0.0.0/25 overlaps with 10.0.0.0/24 of guest 'a1' in line 6;"
            " give both the same prefix length, as they are on bridge br0"
        ],
    ),
]


def problems(folder: Path, text: str) -> list[str]:
    path = folder / "guests.yaml"
    path.write_text(text)
    with pytest.raises(ListError) as caught:
        guestlist.load(path, hypervisors=BY_NAME)
    return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]


@pytest.mark.parametrize(("guests", "lines"), BAD)
def test_a_bad_card(tmp_path: Path, guests: str, lines: list[str]) -> None:
    assert problems(tmp_path, f"{HEAD}{BAD_HEAD}{guests}\n") == lines


BAD_NETWORKS = [
    ("lan", ["3:11: networks: expected a mapping of names to networks, found 'lan'"]),
    (
        "{-x: {bridge: b}, lan: {subnet: 10.0.0.0/24}, l: br0}",
        [
            "3:12: network '-x': expected the name of a network like lan, found '-x'; letters, digits, '-', '_' and"
            " '.'; start with a letter or digit, 64 characters at most",
            "3:29: network 'lan': bridge is missing; give the name of a bridge like xenbr0",
            "3:60: network 'l': expected a mapping of bridge, subnet, pool, gateway, routes, nameservers, search,"
            " dhcp6, accept_ra, mtu, vlan, found 'br0'",
        ],
    ),
    (
        "{lan: {bridge: b, subnet: [10.0.0.9/24, 10.0.0.0, 10.0.0.0/33], pool: [10.0.0.1, 10.0.0.9-10.0.0.1]}}",
        [
            "3:38: network 'lan': subnet: 10.0.0.9/24 is an address in a subnet; write 10.0.0.0/24",
            "3:51: network 'lan': subnet: expected a subnet like 10.0.0.0/24, found '10.0.0.0'; give its prefix length",
            "3:61: network 'lan': subnet: expected a subnet like 10.0.0.0/24, found '10.0.0.0/33'",
            "3:82: network 'lan': pool: expected a pool of addresses like 10.0.0.100-10.0.0.199, found '10.0.0.1'",
            "3:92: network 'lan': pool: the pool 10.0.0.9-10.0.0.1 ends before it starts;"
            " write its first and its last address",
        ],
    ),
    (
        "{lan: {bridge: b, subnet: [10.0.0.0/24, 10.0.0.0/16], pool: 10.0.0.250-10.1.0.5, gateway: 10.9.0.1,"
        " routes: [{to: 10.8.0.0/16, via: 10.0.0.255}]}, none: {bridge: b, gateway: 10.0.0.1}}",
        [
            "3:51: network 'lan': subnet: the subnet 10.0.0.0/16 overlaps with 10.0.0.0/24; give one of them",
            "3:71: network 'lan': pool: the pool 10.0.0.250-10.1.0.5 is in none of the subnets"
            " 10.0.0.0/24, 10.0.0.0/16",
            "3:101: network 'lan': gateway: the gateway 10.9.0.1 is outside the subnets 10.0.0.0/24, 10.0.0.0/16",
            "3:120: network 'lan': routes: the router 10.0.0.255 is the broadcast address of the subnet 10.0.0.0/24",
            "3:185: network 'none': gateway: the gateway 10.0.0.1 is outside of any subnet, of which there are none",
        ],
    ),
]


@pytest.mark.parametrize(("networks", "lines"), BAD_NETWORKS)
def test_a_bad_network(tmp_path: Path, networks: str, lines: list[str]) -> None:
    assert problems(tmp_path, f"{HEAD}networks: {networks}\nguests: {{a: {{master: m}}}}\n") == lines


def test_a_fixed_address_that_somebody_before_has_by_next(tmp_path: Path) -> None:
    text = f"{POOL}defaults: {{master: m, network: {{use: lan}}}}\nguests:\n  a: {{address: next}}\n"
    taken = load(tmp_path, text).guests["a"].nics[0].addresses[0].ip
    assert str(taken) in {f"10.0.0.{number}" for number in range(10, 20)}
    assert problems(tmp_path, f"{HEAD}{text}  b: {{address: {taken}/24}}\n") == [
        f"7:16: guest 'b': the address {taken} is that of guest 'a' in line 6;"
        " give another, or move this guest before that one, whose address is the next free one"
    ]
    before = text.replace("  a:", f"  b: {{address: {taken}/24}}\n  a:")
    assert load(tmp_path, before).guests["a"].nics[0].addresses[0].ip != taken


def test_a_mac_address_that_is_not_xen_s_is_worth_a_warning(tmp_path: Path) -> None:
    text = """\
defaults: {master: m, network: {bridge: br0, address: dhcp}}
guests:
  a: {mac: 52:54:00:00:00:01}
  b: {mac: 52:54:00:00:00:02, hypervisors: [libvirt]}
  c: {mac: 00:16:3e:00:00:03}
  d[1:2]: {mac: {d2: 02:00:00:00:00:04}, hypervisors: [libvirt, xen]}
"""
    hint = "is not of Xen's OUI 00:16:3E; doit mac prints one that is"
    assert [str(warning).removeprefix(f"{tmp_path}/guests.yaml:") for warning in load(tmp_path, text).warnings] == [
        f"5:12: guest 'a': the MAC address 52:54:00:00:00:01 {hint}",
        f"8:18: guest 'd2': the MAC address 02:00:00:00:00:04 {hint}",
    ]
