"""Which family a master is of: its os-release(5), what there was before, and what the list says."""

import pytest

from pipeline.errors import MasterError
from pipeline.guestos import distribution
from pipeline.image.layer.entries import Entry, text
from pipeline.model.master import Family
from tests.layers import link, tree

pytestmark = pytest.mark.unit

# ID and ID_LIKE as the distributions have them.
OS_RELEASES = {
    "Debian 12": ("ID=debian\n", Family.DEBIAN),
    "Ubuntu 24.04": ("ID=ubuntu\nID_LIKE=debian\n", Family.DEBIAN),
    "Linux Mint": ("ID=linuxmint\nID_LIKE=ubuntu\n", Family.DEBIAN),
    "Raspberry Pi OS": ("ID=raspbian\nID_LIKE=debian\n", Family.DEBIAN),
    "Fedora": ('NAME="Fedora Linux"\nID=fedora\n', Family.REDHAT),
    "RHEL 9": ('ID="rhel"\nID_LIKE="fedora"\n', Family.REDHAT),
    "CentOS 7": ('ID="centos"\nID_LIKE="rhel fedora"\n', Family.REDHAT),
    "Rocky 8": ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', Family.REDHAT),
    "Oracle": ('ID="ol"\nID_LIKE="fedora"\n', Family.REDHAT),
    "Amazon Linux 2": ('ID="amzn"\nID_LIKE="centos rhel fedora"\n', Family.REDHAT),
    "SLES 15": ('ID="sles"\nID_LIKE="suse"\n', Family.SUSE),
    "SLES 12": ('ID="sles"\n', Family.SUSE),
    "SLES for SAP": ('ID="sles_sap"\n', Family.SUSE),
    "Leap": ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', Family.SUSE),
    "Leap 42, of before ID_LIKE": ("ID=opensuse\n", Family.SUSE),
    "Tumbleweed": ('ID="opensuse-tumbleweed"\n', Family.SUSE),
    "Alpine": ("ID=alpine\n", Family.GENERIC),
    "comments, blanks and a quote that is open": ("# ID=fedora\n\n NAME=\"x\nID='debian'\n", Family.DEBIAN),
}


@pytest.mark.parametrize(("contents", "family"), OS_RELEASES.values(), ids=OS_RELEASES)
def test_family(contents: str, family: Family) -> None:
    usual = [text("usr/lib/os-release", contents), link("etc/os-release", "../usr/lib/os-release")]
    for layer in (usual, usual[:1], [text("etc/os-release", contents)]):
        assert distribution.of(tree(*layer), None).family is family


def test_a_stated_family_goes_first() -> None:
    debian = tree(text("etc/os-release", "ID=debian\n"))
    assert distribution.of(debian, Family.SUSE).family is Family.SUSE


@pytest.mark.parametrize(
    ("contents", "name"),
    [("ID=plan9\n", "plan9"), ("ID=void\nID_LIKE=runit\n", "void"), ("NAME=nobody\n", "linux"), ("", "linux")],
)
def test_an_unknown_family(contents: str, name: str) -> None:
    unknown = tree(text("etc/os-release", contents))
    with pytest.raises(MasterError) as caught:
        distribution.of(unknown, None)
    assert caught.value.message == (
        f"/etc/os-release calls it '{name}', which is of no known family (debian, redhat, suse, generic)"
    )
    assert "`family: none`" in caught.value.hint
    assert "`files:`" in caught.value.hint
    assert distribution.of(unknown, Family.NONE).family is Family.NONE


BEFORE = {
    "RHEL 6": ("etc/redhat-release", Family.REDHAT),
    "SLES 11": ("etc/SuSE-release", Family.SUSE),
    "Debian 6": ("etc/debian_version", Family.DEBIAN),
    "BusyBox alone": ("bin/busybox", Family.GENERIC),
}


@pytest.mark.parametrize(("mark", "family"), BEFORE.values(), ids=BEFORE)
def test_before_os_release(mark: str, family: Family) -> None:
    assert distribution.of(tree(text(mark, "")), None) == distribution.Distribution(family, systemd=False)


@pytest.mark.parametrize(
    "layer",
    [
        [text("lib/systemd/systemd", "")],
        [text("usr/lib/systemd/systemd", ""), link("lib", "usr/lib")],
    ],
)
def test_systemd(layer: list[Entry]) -> None:
    assert distribution.of(tree(*layer), None).systemd


@pytest.mark.parametrize(
    ("mark", "what"),
    [
        ("ostree/repo/config", "an OSTree repository"),
        ("usr/sbin/transactional-update", "changed by transactional-update alone"),
        ("etc/NIXOS", "NixOS"),
        ("usr/lib/snapd/snap-bootstrap", "Ubuntu Core"),
    ],
)
def test_systems_that_have_no_etc_to_write_to(mark: str, what: str) -> None:
    layer = [text(mark, ""), text("etc/os-release", "ID=fedora\n")]
    with pytest.raises(MasterError, match=f"{what}.*might not be seen; if its /etc .* `family:`"):
        distribution.of(tree(*layer), None)
    assert distribution.of(tree(*layer), Family.REDHAT).family is Family.REDHAT
