"""The table of architectures: what a row says, other programs know by the same names."""

import shutil
import subprocess

import pytest

from pipeline.model.architecture import BY_NAME, GUESTS, Architecture, of_elf, runs

pytestmark = pytest.mark.unit


def test_guests_run_their_own_programs_and_those_of_the_pc_before() -> None:
    assert runs(GUESTS, "x86-64")
    assert runs(GUESTS, "i386")
    assert runs(GUESTS, None)
    assert not runs(GUESTS, "arm64")
    assert not runs(BY_NAME["arm64"], "x86-64")


def test_programs_have_names() -> None:
    assert [of_elf(number) for number in (62, 183, 21, 243, 22, 3, 7)] == [
        *("x86-64", "arm64", "ppc64el", "riscv64", "s390x", "i386", "machine 7 of elf.h"),
    ]


def test_no_two_rows_share_a_name_a_number_or_a_partition_type() -> None:
    for attribute in ("name", "programs", "libvirt", "oci", "qemu", "partition"):
        found = [getattr(each, attribute) for each in BY_NAME.values()]
        assert len({*found}) == len(found), attribute


@pytest.mark.parametrize("architecture", BY_NAME.values(), ids=BY_NAME)
def test_sfdisk_knows_the_partition_type(architecture: Architecture) -> None:
    sfdisk = shutil.which("sfdisk", path="/usr/sbin:/sbin:/usr/bin")
    assert sfdisk is not None
    listed = subprocess.run([sfdisk, "-X", "gpt", "-T"], capture_output=True, text=True, check=True).stdout.lower()
    assert str(architecture.partition) in listed
