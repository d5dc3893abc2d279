"""What guests say on their console: whether they ask for a login, and whether they have failed."""

import re

_LOGIN = re.compile(r"^(?!Last )[^\s:]+ login: ", re.MULTILINE)

_REST = r".*(?=\n)"
"""The rest of a line, once all of it has come."""

_FAILURES = (
    rf"Kernel panic - not syncing: {_REST}",
    rf"(?:BUG|Oops): {_REST}",
    rf"ALERT! +.* does not exist{_REST}",  # Debian's initramfs-tools
    rf"Gave up waiting for {_REST}",
    r"\(initramfs\) *$",
    r"Give root password for maintenance",
    rf"You are in (?:emergency|rescue) mode{_REST}",
    rf"Entering emergency mode{_REST}",  # dracut's
    r"grub(?: rescue)?> *$",
    rf"No bootable device{_REST}",
    rf"(?:error: )?no such (?:device|partition){_REST}",
)
_FAILURE = re.compile("|".join(f"(?:{each})" for each in _FAILURES), re.MULTILINE)

_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-_])|[\x00-\x08\x0b-\x1f\x7f]")
"""What terminals take for orders rather than text: see console_codes(4)."""


def plain(text: str) -> str:
    """What `text`, as it came over a serial line, says to people: lines, without orders to the terminal."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


def asks_for_login(text: str) -> bool:
    """Whether plain `text` has the prompt of login(1)."""
    return _LOGIN.search(text) is not None


def failure(text: str) -> str:
    """The first thing in plain `text` that says the guest will not come up; empty if nothing does."""
    match = _FAILURE.search(text)
    return match[0].strip() if match else ""


def complaints(text: str) -> list[str]:
    """What the kernel says of an ext file system in plain `text` that is not in order: see fs/ext4/super.c."""
    lines = [line for line in text.splitlines() if re.search(r"EXT[234]-fs", line)]
    return [line.strip() for line in lines if re.search("recover|warning|error|orphan", line)]
