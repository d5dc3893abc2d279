"""The guest's name, and its hosts file as Debian's conventions want it."""

import pytest

from pipeline.guestos import names
from pipeline.guestos.distribution import Distribution
from pipeline.model.guest import Guest
from pipeline.model.master import Family
from tests.guests import guest, nic
from tests.layers import contents, tree

pytestmark = pytest.mark.unit

DEBIANS = """\
127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
"""
STATIC = guest()
DHCP = guest(nics=(nic(None),))
QUALIFIED = guest(name="deb01.example.org")
SECOND_IS_STATIC = guest(nics=(nic(None), nic("10.0.0.12/24")))
IPV6 = guest(nics=(nic("fd00::11/64"),))

HOSTS = {
    "no file, static address": (STATIC, "", f"{DEBIANS}10.0.0.11 deb01\n"),
    "no file, DHCP": (DHCP, "", f"{DEBIANS}127.0.1.1 deb01\n"),
    "domain": (QUALIFIED, "", f"{DEBIANS}10.0.0.11 deb01.example.org deb01\n"),
    "one of two is static": (SECOND_IS_STATIC, "", f"{DEBIANS}10.0.0.12 deb01\n"),
    "IPv6": (IPV6, "", f"{DEBIANS}fd00::11 deb01\n"),
    "master's own name goes": (
        STATIC,
        "127.0.0.1 localhost\n127.0.1.1\tmaster.example.org master\n",
        "127.0.0.1 localhost\n10.0.0.11 deb01\n",
    ),
    "same address goes": (
        STATIC,
        "127.0.0.1 localhost\n10.0.0.11 old # was here\n10.0.0.111 other\n",
        "127.0.0.1 localhost\n10.0.0.111 other\n10.0.0.11 deb01\n",
    ),
    "comments and blank lines stay": (
        STATIC,
        "# mine\n\n127.0.0.1 localhost\n#10.0.0.11 no\n",
        "# mine\n\n127.0.0.1 localhost\n#10.0.0.11 no\n10.0.0.11 deb01\n",
    ),
    "no newline at the end": (STATIC, "127.0.0.1 localhost", "127.0.0.1 localhost\n10.0.0.11 deb01\n"),
    "localhost in a comment only": (STATIC, "# localhost\n", f"{DEBIANS}# localhost\n10.0.0.11 deb01\n"),
}


@pytest.mark.parametrize(("whose", "there", "expected"), HOSTS.values(), ids=HOSTS)
def test_hosts(whose: Guest, there: str, expected: str) -> None:
    assert names.hosts(there, whose, "127.0.1.1") == expected


@pytest.mark.parametrize("name", ["deb01", "deb01.example.org"])
def test_hostname_is_the_short_one(name: str) -> None:
    assert (
        contents(names.entries(guest(name=name), tree(), Distribution(Family.DEBIAN, systemd=True)))["etc/hostname"]
        == b"deb01\n"
    )
