"""What people are told when libguestfs' appliance does not start, by stand-ins for guestfish that fail as it does."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import process
from pipeline.errors import MasterError
from pipeline.image.sources import guestfish

SUPERMIN = """\
/dev/fd/5:1: libguestfs: error: supermin exited with error status 1.
To see full error messages you may need to enable debugging.
"""
CRASHED = """\
/dev/fd/5:1: libguestfs: error: appliance closed the connection unexpectedly.
This usually means the libguestfs appliance crashed.
/dev/fd/5:1: libguestfs: error: guestfs_launch failed.
"""

StandIn = Callable[[str], None]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """`stand_in(script)` puts a guestfish in place that reads its commands, as $line, and does this with each."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "boot").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(guestfish, "_KVM", tmp_path / "no-kvm")
    monkeypatch.setattr(guestfish, "_KERNELS", tmp_path / "boot")

    def write(script: str) -> None:
        program = tmp_path / "bin/guestfish"
        program.write_text(
            "#!/bin/sh\n"
            'for file; do :; done; exec <"$file"\n'
            f"while read -r line; do\ncase $line in echo*) echo ${{line#echo }};; *)\n{script}\n;; esac; done\n"
        )
        program.chmod(0o755)

    return write


def saying(text: str) -> str:
    return f"cat >&2 <<'END'\n{text}END"


def ask(tmp_path: Path, *command: str) -> list[str]:
    with guestfish.opened(tmp_path / "disk.img", tmp_path) as appliance:
        return appliance.ask(*command)


def test_replies(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in('[ "$line" = -run ] || { echo "1: $line"; printf "2: \\377\\n"; }')
    assert ask(tmp_path, "is-dir", "/etc") == ["1: -is-dir /etc", "2: \udcff"]


def test_a_command_that_fails_is_an_error_of_one_line(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in(f'[ "$line" = -run ] || {{ {saying(CRASHED)}\n}}')
    with pytest.raises(MasterError) as error:
        ask(tmp_path, "list-filesystems")
    assert error.value.message == "guestfish: appliance closed the connection unexpectedly."


def test_no_guestfish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "available", lambda name: name != "guestfish")
    with pytest.raises(MasterError, match=r"guestfish is missing, .*apt install guestfish libguestfs-xfs linux-image"):
        ask(tmp_path, "version")


def test_no_kernel_for_it(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in(saying(SUPERMIN))
    with pytest.raises(MasterError, match=r"finds no kernel in /boot.*apt install linux-image-cloud-amd64"):
        ask(tmp_path, "version")


def test_a_kernel_that_nobody_but_root_can_read(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in(saying(SUPERMIN))
    (tmp_path / "boot/vmlinuz-6.8").symlink_to("gone")  # cannot be read by root either, who may be running this
    with pytest.raises(MasterError, match=r"vmlinuz-6.8 is readable for root alone; sudo chmod 0644 /boot/vmlinuz-"):
        ask(tmp_path, "version")


def test_an_appliance_that_cannot_be_made(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in(saying(SUPERMIN))
    (tmp_path / "boot/vmlinuz-6.1").touch()
    with pytest.raises(MasterError, match="cannot be made: guestfish: supermin exited with error status 1"):
        ask(tmp_path, "version")


def test_an_appliance_that_crashes(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in(saying(CRASHED))
    with pytest.raises(MasterError, match="the appliance that reads it does not start: guestfish: appliance closed"):
        ask(tmp_path, "version")


def test_guestfish_that_is_killed(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in('[ "$line" = -run ] || kill -KILL $$')
    with pytest.raises(MasterError, match="guestfish was ended by SIGKILL"):
        ask(tmp_path, "list-filesystems")


def test_kvm_that_runs_nothing(stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in containers and virtual machines that have /dev/kvm and no more."""
    (tmp_path / "kvm").touch()
    monkeypatch.setattr(guestfish, "_KVM", tmp_path / "kvm")
    stand_in(f'if [ -z "$LIBGUESTFS_BACKEND_SETTINGS" ]; then {saying(CRASHED)}\nelse echo $line; fi')
    assert ask(tmp_path, "is-dir", "/etc") == ["-is-dir /etc"]


def test_an_appliance_that_does_not_answer(stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guestfish, "_PATIENCE", 1)
    stand_in('[ "$line" = -run ] || sleep infinity')
    with pytest.raises(MasterError, match="does not answer"):
        ask(tmp_path, "inspect-os")


def test_a_full_disk(stand_in: StandIn, tmp_path: Path) -> None:
    archive = tmp_path / "root.tar"
    message = f"/dev/fd/5:9: libguestfs: error: {archive}: write: No space left on device\n"
    stand_in(f'[ "$line" = -run ] || {{ {saying(message)}\n}}')
    with (
        pytest.raises(OSError, match="No space left on device"),
        guestfish.opened(tmp_path / "disk.img", tmp_path) as appliance,
    ):
        appliance.ask("tar-out", "/", str(archive), grows=archive, limit=1 << 20)


def test_files_that_are_larger_than_their_disk(stand_in: StandIn, tmp_path: Path) -> None:
    """So are files that are almost only holes, of which the tar file has every zero."""
    archive = tmp_path / "root.tar"
    stand_in(f'[ "$line" = -run ] || {{ truncate --size=2M {archive}; sleep infinity; }}')
    with (
        pytest.raises(MasterError, match="its files are larger than the disk"),
        guestfish.opened(tmp_path / "disk.img", tmp_path) as appliance,
    ):
        appliance.ask("tar-out", "/", str(archive), grows=archive, limit=1 << 20)
