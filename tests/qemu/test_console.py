"""What guests say on their console, and what it means."""

import pytest

from pipeline.qemu import console

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("Debian GNU/Linux 12 deb01 ttyS0\r\n\r\ndeb01 login: ", True),
        ("\x1b[0mdeb01 login: [   12.3] random: crng init done\r\n", True),
        ("\r\n(none) login: ", True),
        ("Last login: Tue Nov 24\r\n", False),
        ("[  OK  ] Started login prompt: getty\r\n", False),
        ("", False),
    ],
)
def test_login_prompts(text: str, asks: bool) -> None:
    assert console.asks_for_login(console.plain(text)) == asks


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        (
            "[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n[ 1.3] CPU: 0",
            "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
        ),
        (
            "ALERT!  UUID=aaaaaaaa-1111 does not exist.  Dropping to a shell!\r\n",
            "ALERT!  UUID=aaaaaaaa-1111 does not exist.  Dropping to a shell!",
        ),
        ("BusyBox v1.35.0\r\n\x1b[6n(initramfs) ", "(initramfs)"),
        ("You are in emergency mode. After logging in\r\n", "You are in emergency mode. After logging in"),
        ("Give root password for maintenance\r\n", "Give root password for maintenance"),
        ("grub rescue> ", "grub rescue>"),
        ("[    0.5] Command line: panic=-1 console=ttyS0\r\nBusyBox (initramfs) is fine\r\n", ""),
        ("[    1.2] Kernel panic - not syncing: Attempted to kill ini", ""),  # more of the line is to come
        ("deb01 login: ", ""),
    ],
)
def test_failures(text: str, failure: str) -> None:
    assert console.failure(console.plain(text)) == failure


def test_what_the_kernel_says_of_file_systems() -> None:
    said = """\
[ 2.1] EXT4-fs (vda): mounted filesystem with ordered data mode. Quota mode: none.
[ 2.2] EXT4-fs (vda): recovery complete
[ 2.3] other: recovery complete
[ 2.4] EXT4-fs error (device vda): ext4_lookup:1855: inode #2
"""
    assert console.complaints(said) == [
        "[ 2.2] EXT4-fs (vda): recovery complete",
        "[ 2.4] EXT4-fs error (device vda): ext4_lookup:1855: inode #2",
    ]
