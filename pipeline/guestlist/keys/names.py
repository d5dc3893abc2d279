"""What names, paths and URLs may look like: strict enough to be safe in file names, arguments and configurations."""

import re
from pathlib import Path, PurePosixPath

from pipeline.errors import GuestfarmError, quoted
from pipeline.guestlist.schema.readers import Matching, Parsed

MAX_HOST_NAME = 63
"""The longest label of RFC 1035, 2.3.4, taken for the whole name: Linux has 64 bytes for it, see gethostname(2)."""

_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
HOST_NAME = rf"{_LABEL}(\.{_LABEL})*"
"""What a guest's name looks like: a regular expression."""

_HOST_NAME = re.compile(HOST_NAME)
_TAKEN_NAMES = {"localhost": "every machine calls itself so", "domain-0": "Xen's own domain is called so"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UNSAFE_IN_PATHS = re.compile(r"[\x00-\x1f\x7f-\x9f'\"\\]")

NAME = Matching(
    "a name of letters, digits, '-', '_' and '.'",
    "[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
    "start with a letter or digit, 64 characters at most",
)
"""The name of a farm or a master: part of file names and of what identities are derived from."""

# Linux's dev_valid_name() allows more, but no tool's configuration needs to quote these. IFNAMSIZ is 16 with the NUL.
BRIDGE = Matching(
    "the name of a bridge like xenbr0",
    r"(?!\.{1,2}\Z)[A-Za-z0-9_.][A-Za-z0-9_.-]{0,14}",
    "1 to 15 letters, digits, '_', '.' and '-'",
)

NETWORK = Matching(
    "the name of a network like lan",
    "[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
    "letters, digits, '-', '_' and '.'; start with a letter or digit, 64 characters at most",
)
"""The name of a network: part of what addresses are derived from."""

DOMAIN = Matching(
    "a domain like example.org",
    rf"(?=.{{1,253}}\.?\Z){_LABEL}(\.{_LABEL})*\.?",  # RFC 1035, 2.3.4, without what the length takes on the wire
    "letters, digits and '-', and '.' between parts",
)

HYPERVISOR = Matching("the name of a hypervisor like xen", "[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

# Debian Policy 5.6.1 (package names), 5.6.12 (versions) and 5.6.8 (architectures); what apt-get(8) lets follow a name.
PACKAGE = Matching(
    "the name of a Debian package",
    r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9][a-z0-9-]*)?(=[A-Za-z0-9.+:~-]+|/[A-Za-z0-9][A-Za-z0-9.+~_-]*)?",
    "lower case letters, digits, '+', '-', '.'; then perhaps :ARCHITECTURE, and =VERSION or /SUITE",
)
SUITE = Matching("a suite like bookworm", "[A-Za-z0-9][A-Za-z0-9.+~_-]*")
COMPONENT = Matching("a component like main", "[a-z0-9][a-z0-9.+/_-]*")
# The grammar of org.opencontainers.image.ref.name in annotations.md of the OCI Image Format Specification.
TAG = Matching(
    "a tag like latest", "[A-Za-z0-9]+([._:@/+-]+[A-Za-z0-9]+)*", "letters, digits, and '-._:@/+' between them"
)
MIRROR = Matching(
    "the URL of a Debian mirror like http://mirror.example.org/debian",
    r"(https?://[!-.0-~][!-~]*|(file|copy):///[!-~]*)",
    "http, https, file or copy, without blanks",
)
# tz-how-to.html of the time zone database: the names of files there.
TIMEZONE = Matching(
    "a time zone like Europe/Berlin", "[A-Za-z][A-Za-z0-9_+-]{0,29}(/[A-Za-z0-9_+-]{1,30}){0,2}", "see tzselect(8)"
)
# As setlocale(3) has them: language[_territory][.codeset][@modifier].
LOCALE = Matching(
    "a locale like de_DE.UTF-8",
    r"(C|POSIX|[a-z]{2,3}(_[A-Z]{2})?)(\.[A-Za-z0-9-]{1,20})?(@[a-z0-9]{1,20})?",
    "see locale(7)",
)
KEYBOARD = Matching(
    "a keyboard layout like us or de-nodeadkeys",
    "[a-z][a-z0-9_]{1,20}(-[A-Za-z0-9_-]{1,40})?",
    "LAYOUT or LAYOUT-VARIANT",
)
KERNEL_ARGUMENTS = Matching(
    "arguments for the kernel like quiet net.ifnames=0",
    "(?! )[ -~]{1,900}(?<! )",
    "900 printable ASCII characters at most",  # of 1,024 for all arguments: MAX_GUEST_CMDLINE in Xen's public/xen.h
)
COMMAND = Matching("a shell command", r"(?=.*\S)[^\x00-\x08\x0b-\x1f\x7f]+")


def parse_absolute_path(text: str) -> PurePosixPath:
    """A path on the guests' host or inside a master, safe to quote in any configuration. Raises GuestfarmError."""
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts:
        raise GuestfarmError(f"expected an absolute path without '..', found {quoted(text)}")
    if _UNSAFE_IN_PATHS.search(text):
        raise GuestfarmError(
            f"{quoted(text)} is no path for configuration files", "avoid quotes, backslashes and control characters"
        )
    return path


ABSOLUTE_PATH = Parsed("an absolute path", parse_absolute_path, r"/[^\x00-\x1f\x7f-\x9f'\"\\]*")


def parse_file(text: str) -> Path:
    """A path on this machine, as the user writes it. Raises GuestfarmError."""
    if not text or _CONTROL.search(text):
        raise GuestfarmError(f"expected a path, found {quoted(text)}")
    return Path(text)


def parse_guest_name(text: str) -> str:
    """The host name `text`, by RFC 952 and RFC 1123 (2.1), at most 63 characters long. Raises GuestfarmError.

    A name of digits alone is refused as well: xl(1) takes it for a domain ID.
    """
    if len(text) > MAX_HOST_NAME:
        raise GuestfarmError(f"a name of {len(text)} characters", f"a host name has at most {MAX_HOST_NAME}")
    if not _HOST_NAME.fullmatch(text):
        raise GuestfarmError(
            f"{quoted(text)} is not a host name",
            "write letters, digits and '-', and '.' between parts; no part starts or ends with '-' (RFC 1123)",
        )
    if text.isdigit():
        raise GuestfarmError("a name of digits alone, which xl takes for a domain ID", "add a letter")
    if reason := _TAKEN_NAMES.get(text.lower()):
        raise GuestfarmError(f"a name that is taken: {reason}", "choose another")
    return text
