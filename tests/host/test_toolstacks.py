"""What xl and virsh print, and what it means: what is not known to mean that a guest is down, means that it may run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import process
from pipeline.errors import HostError
from pipeline.host import lifecycle
from pipeline.host.store import Store
from pipeline.host.toolstacks import Domains, UnknownStateError, check_stopped, of_guest
from pipeline.hypervisors import virsh, xl
from tests.machine import need_programs
from tests.toolstacks import Toolstacks

XL_HEAD = "Name                                        ID   Mem VCPUs\tState\tTime(s)\n"
XL = {
    "": {},
    "Domain-0                                     0  1024     2     r-----      10.2\n": {"Domain-0": "running"},
    "deb01                                        7   512     1     -b----       3.1\n": {"deb01": "running"},
    "deb01                                        7   512     1     ------       3.1\n": {"deb01": "running"},
    "deb01                                        7   512     1     --p---       3.1\n": {"deb01": "paused"},
    "deb01                                        7   512     1     ---s--       3.1\n": {
        "deb01": "shut down, but still there"
    },
    "deb01                                        7   512     1     ----c-       3.1\n": {"deb01": "crashed"},
    "deb01                                        7   512     1     ---s-d       3.1\n": {"deb01": "dying"},
    "two words                                    7   512     1     -b----       3.1\n": {"two words": "running"},
    "deb01--incoming                              7   512     1     --p---       3.1\n": {
        "deb01--incoming": "paused",
        "deb01": "paused",
    },
}

# As xl of Xen 4.17.7, Debian's 4.17.7+13-g2445b30a44-0+deb12u1, printed it in runs of `make test-xen`.
XL_4_17 = {
    """\
Name                                        ID   Mem VCPUs\tState\tTime(s)
Domain-0                                     0   640     1     r-----     188.8
debian-pv                                    1   256     1     -b----     117.1
debian-pvh                                   2   256     1     -b----     180.7
""": {"Domain-0": "running", "debian-pv": "running", "debian-pvh": "running"},
    """\
Name                                        ID   Mem VCPUs\tState\tTime(s)
Domain-0                                     0   640     1     r-----     261.5
debian-pvh                                   3   256     1     --p---       0.0
""": {"Domain-0": "running", "debian-pvh": "paused"},
}

VIRSH_HEAD = " Id   Name       State\n---------------------------\n"
VIRSH = {
    "": {},
    "\n": {},
    " 3    deb01   running\n\n": {"deb01": "running"},
    " 3    deb01   paused\n -    deb02   shut off\n": {"deb01": "paused"},
    " 3    deb01   in shutdown\n": {"deb01": "in shutdown"},
    " 3    deb01   pmsuspended\n": {"deb01": "pmsuspended"},
    " -    deb01   crashed\n": {"deb01": "crashed"},
    " -    deb01   schlafend\n": {"deb01": "schlafend"},
    " -    deb01   shut off maybe\n": {"deb01": "shut off maybe"},
}


@pytest.mark.parametrize(("rows", "expected"), XL.items())
def test_what_xl_lists(rows: str, expected: dict[str, str]) -> None:
    assert xl.parse(XL_HEAD + rows) == expected


@pytest.mark.parametrize(("listed", "expected"), XL_4_17.items())
def test_what_xl_of_xen_has_listed(listed: str, expected: dict[str, str]) -> None:
    assert xl.parse(listed) == expected


@pytest.mark.parametrize(("rows", "expected"), VIRSH.items())
def test_what_virsh_lists(rows: str, expected: dict[str, str]) -> None:
    assert virsh.parse(VIRSH_HEAD + rows) == expected


@pytest.mark.parametrize("text", ["", "\n", "deb01\n", XL_HEAD + "deb01 7\n", XL_HEAD + "deb01 7 512 1 x 3.1\n", "{}"])
@pytest.mark.parametrize("parse", [xl.parse, virsh.parse])
def test_unknown_output(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(HostError, match="printed something unknown"):
        parse(text)


def test_a_virsh_row_that_is_none() -> None:
    with pytest.raises(HostError, match="printed something unknown"):
        virsh.parse(VIRSH_HEAD + "deb01 running\n")


@pytest.fixture
def toolstacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toolstacks:
    toolstacks = Toolstacks(tmp_path / "bin")
    toolstacks.install("xl", "virsh")
    toolstacks.use(monkeypatch)
    return toolstacks


def test_down_for_all(toolstacks: Toolstacks) -> None:
    toolstacks.set("xl", "deb02", "r-----")
    toolstacks.set("virsh", "deb01", "shut off")
    check_stopped("deb01")


@pytest.mark.parametrize(
    ("program", "state", "said"),
    [("xl", "-b----", "xl says that it is running"), ("virsh", "in shutdown", "virsh says that it is in shutdown")],
)
def test_up_for_one(toolstacks: Toolstacks, program: str, state: str, said: str) -> None:
    toolstacks.set(program, "deb01", state)
    with pytest.raises(HostError, match=f"guest 'deb01' is not down: {said}; stop it first"):
        check_stopped("deb01")


@pytest.mark.parametrize("program", ["xl", "virsh"])
def test_a_toolstack_that_fails(toolstacks: Toolstacks, program: str) -> None:
    toolstacks.fail(program, "Permission denied")
    with pytest.raises(HostError, match=rf"(?s)whether guest 'deb01' is down cannot be told: {program}.*Permission"):
        check_stopped("deb01")


@pytest.mark.parametrize("program", ["xl", "virsh"])
def test_a_toolstack_that_says_something_unknown(toolstacks: Toolstacks, program: str) -> None:
    toolstacks.print(program, "all is well\n")
    with pytest.raises(HostError, match=r"cannot be told: .* printed something unknown: 'all is well"):
        check_stopped("deb01")


def test_xl_without_xen(toolstacks: Toolstacks) -> None:
    toolstacks.fail("xl", "xencall: error: Could not obtain handle on privileged command interface: Permission denied")
    with pytest.raises(HostError):
        check_stopped("deb01")
    toolstacks.fail("xl", "ERROR:  Can't find hypervisor information in sysfs!")
    check_stopped("deb01")


def test_virsh_without_a_daemon(toolstacks: Toolstacks) -> None:
    toolstacks.fail("virsh", "error: Failed to connect socket to '/run/libvirt': No such file or directory")
    daemon = toolstacks.folder / "libvirtd"
    daemon.write_text("#!/bin/sh\n")
    daemon.chmod(0o755)
    check_stopped("deb01")
    toolstacks.fail("virsh", "error: Failed to connect socket to '/run/libvirt': Permission denied")
    with pytest.raises(UnknownStateError):
        check_stopped("deb01")


@pytest.mark.parametrize(
    ("files", "hypervisors", "asked"),
    [
        ([], [], ["xl", "virsh"]),
        (["root.img", "other.cfg"], [], ["xl", "virsh"]),
        ([], ["xen"], ["xl"]),
        ([], ["libvirt", "qemu"], ["virsh"]),
        ([], ["qemu"], []),
        (["deb01.cfg"], [], ["xl"]),
        (["deb01.xml", "root.img"], [], ["virsh"]),
        (["deb01.vmx"], [], []),
        (["deb01.qemu.sh"], ["xen"], ["xl"]),
        (["deb01.cfg"], ["libvirt"], ["xl", "virsh"]),
        (["deb01.cfg", "deb01.xml.bak"], ["xen"], ["xl", "virsh"]),
    ],
)
def test_only_toolstacks_are_asked_that_the_guest_can_be_under(
    files: list[str], hypervisors: list[str], asked: list[str], toolstacks: Toolstacks, tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / name).touch()
    assert sorted(toolstack.program for toolstack in of_guest("deb01", [tmp_path], hypervisors)) == sorted(asked)


def test_each_is_asked_once_for_all(toolstacks: Toolstacks) -> None:
    toolstacks.set("xl", "deb02", "-b----")
    toolstacks.fail("virsh", "Permission denied")
    lifecycle = Domains()
    check_stopped("deb01", [xl], lifecycle)
    with pytest.raises(HostError, match="is not down"):
        check_stopped("deb02", [xl], lifecycle)
    causes = set()
    for guest in ("deb01", "deb02"):
        with pytest.raises(UnknownStateError) as unknown:
            check_stopped(guest, [virsh], lifecycle)
        causes.add(unknown.value.cause)
    assert len(causes) == 1
    assert (toolstacks.folder / "calls").read_text().splitlines() == [
        "xl list",
        "virsh --connect test:///default list --all",
    ]


def test_the_real_virsh(monkeypatch: pytest.MonkeyPatch) -> None:
    need_programs("virsh")
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", "test:///default")
    assert virsh.active() == {"test": "running"}
    with pytest.raises(HostError, match="guest 'test' is not down: virsh says that it is running"):
        check_stopped("test")
    check_stopped("deb01")


def test_a_host_without_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can run there, so what is asked for whether a guest is down says yes; and how to start one is told."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(process, "_PATH", str(tmp_path))
    (tmp_path / "images/deb01").mkdir(parents=True)
    check_stopped("deb01")
    said: list[str] = []
    store = Store(tmp_path / "images")
    message = "is for xen, libvirt, and this host has no xl or virsh; install xen-system-amd64 or libvirt-clients"
    with pytest.raises(HostError, match=message):
        lifecycle.start(store, "deb01", ["xen", "libvirt"], said.append)
    with pytest.raises(HostError, match="is not up"):
        lifecycle.console(store, "deb01", ["xen"], said.append)
    assert not lifecycle.stop(store, "deb01", ["xen"], said.append, now=False)
    assert said == ["deb01: is down already"]
