"""How guests are made to report, and how reports are read."""

import pytest

from pipeline.boottest import inside
from pipeline.image.layer.entries import Symlink
from tests.guests import GUEST, guest
from tests.layers import contents, file, link, targets, tree

pytestmark = pytest.mark.unit

SYSTEMD = (link("sbin/init", "/lib/systemd/systemd"), file("lib/systemd/systemd", b""), file("etc/inittab", b""))
BUSYBOX = (link("sbin/init", "/bin/busybox"), file("bin/busybox", b""))


def test_systemd_gets_a_service() -> None:
    reporter = inside.reporter(GUEST, tree(*SYSTEMD))
    assert (reporter.init, reporter.greets) == ("systemd", True)
    (wanted,) = targets(reporter.layer)
    assert wanted == "etc/systemd/system/multi-user.target.wants/guestfarm-report.service"
    assert (
        "\nExecStart=/etc/guestfarm-report\n"
        in contents(reporter.layer)["etc/systemd/system/guestfarm-report.service"].decode()
    )
    assert b"systemctl --failed" in contents(reporter.layer)["etc/guestfarm-report"]


@pytest.mark.parametrize(
    ("inittab", "written", "greets"),
    [
        (b"::sysinit:/etc/start\n\n", "::sysinit:/etc/start\n::once:/etc/guestfarm-report\n", False),
        (
            b"::respawn:/sbin/getty 0 console",
            "::respawn:/sbin/getty 0 console\n::once:/etc/guestfarm-report\n",
            True,
        ),
        (b"# getty ttyS0\n", "# getty ttyS0\n::once:/etc/guestfarm-report\n", False),
        (None, "::sysinit:/etc/init.d/rcS\n::askfirst:-/bin/sh\n::once:/etc/guestfarm-report\n", False),
    ],
)
def test_busybox_gets_a_line_in_its_inittab(inittab: bytes | None, written: str, greets: bool) -> None:
    there = () if inittab is None else (file("etc/inittab", inittab),)
    reporter = inside.reporter(GUEST, tree(*BUSYBOX, *there))
    assert contents(reporter.layer)["etc/inittab"].decode() == written
    assert (reporter.init, reporter.greets) == ("BusyBox", greets)


def test_system_vs_init_gets_a_line_with_a_name() -> None:
    there = (file("sbin/init", b""), file("etc/inittab", b"1:2345:respawn:/sbin/getty 38400 tty1\n"))
    reporter = inside.reporter(GUEST, tree(*there))
    assert contents(reporter.layer)["etc/inittab"].endswith(b"tty1\ngfrp:2345:once:/etc/guestfarm-report\n")
    assert not reporter.greets


def test_what_else_starts_a_guest_cannot_be_told_anything() -> None:
    for there in ((file("sbin/init", b""),), ()):
        reporter = inside.reporter(GUEST, tree(*there))
        assert (reporter.layer, reporter.init) == ((), "/sbin/init")


def test_the_init_that_the_kernel_is_told_of() -> None:
    there = tree(*SYSTEMD, file("bin/own", b""))
    assert inside.reporter(guest(extra="quiet init=/bin/own"), there).init == "/bin/own"
    assert inside.reporter(guest(extra="init=/no/such"), there).init == "systemd"


def test_more_facts() -> None:
    reporter = inside.reporter(GUEST, tree(*SYSTEMD), {"routes": "ip route"})
    assert b"echo '=== routes'\nip route\n" in contents(reporter.layer)["etc/guestfarm-report"]
    assert any(isinstance(entry, Symlink) for entry in reporter.layer)


def test_reports() -> None:
    report = "noise\n=== host name\ndeb01\n=== swaps\nFilename\n/dev/vdb\n=== that is all\npower off\n"
    assert inside.is_whole(report)
    assert inside.read(report) == {"host name": "deb01", "swaps": "Filename\n/dev/vdb"}


@pytest.mark.parametrize("report", ["", "=== host name\ndeb01\n", "=== host name\ndeb01\n=== that is all"])
def test_reports_that_are_cut_short(report: str) -> None:
    assert not inside.is_whole(report)
    assert inside.read(report) == {}
