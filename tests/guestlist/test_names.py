"""Names, paths and URLs: what is safe in file names, arguments and configurations."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import GuestfarmError
from pipeline.guestlist.keys import names
from pipeline.guestlist.schema.readers import Matching
from pipeline.guestlist.syntax.nodes import ReadingError, Scalar

pytestmark = pytest.mark.unit

NOT_A_HOST_NAME = (
    " is not a host name; "
    "write letters, digits and '-', and '.' between parts; no part starts or ends with '-' (RFC 1123)"
)


@pytest.mark.parametrize("name", ["a", "deb01", "web-00042", "3com", "Deb01", "db.example.org", "a" * 63, "1.2", "0-0"])
def test_host_names_of_rfc_1123_are_accepted(name: str) -> None:
    assert names.parse_guest_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "-a",
        "a-",
        "a_b",
        ".a",
        "a.",
        "a..b",
        "a.-b",
        "../../etc",
        "$(reboot)",
        "a\n",
        "é",
        "a/b",
        "٣a",
        "'",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(GuestfarmError) as caught:
        names.parse_guest_name(name)
    assert str(caught.value) == f"{name!r}{NOT_A_HOST_NAME}"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("a" * 64, "a name of 64 characters; a host name has at most 63"),
        ("a." * 50 + "a", "a name of 101 characters; a host name has at most 63"),
        ("123", "a name of digits alone, which xl takes for a domain ID; add a letter"),
        ("localhost", "a name that is taken: every machine calls itself so; choose another"),
        ("Domain-0", "a name that is taken: Xen's own domain is called so; choose another"),
    ],
)
def test_host_names_that_cause_trouble_are_refused(name: str, error: str) -> None:
    with pytest.raises(GuestfarmError) as caught:
        names.parse_guest_name(name)
    assert str(caught.value) == error


@given(st.text(max_size=70))
def test_a_host_name_is_one_part_of_a_path_and_no_option(name: str) -> None:
    try:
        names.parse_guest_name(name)
    except GuestfarmError:
        return
    assert PurePosixPath(name).name == name
    assert not name.startswith(("-", "."))
    assert name.isascii()


ACCEPTED = [
    (names.NAME, ["example", "Debian_12.1-x", "a" * 64, "0"]),
    (names.BRIDGE, ["xenbr0", "br-lan", "a.b_c", "a" * 15, "..."]),
    (names.SUITE, ["bookworm", "bookworm-backports", "sid", "Debian12.5"]),
    (names.COMPONENT, ["main", "non-free-firmware", "updates/main"]),
    (names.PACKAGE, ["g++", "libc6:amd64", "nginx=1.22.1-9+deb12u1", "linux-image-amd64/bookworm-backports", "7zip"]),
    (
        names.MIRROR,
        ["http://mirror.example.org/debian", "https://u:p@[::1]:80/x", "file:///srv/mirror", "copy:///srv/mirror"],
    ),
    (names.COMMAND, ["apt-get clean", "rm -f $1/x\nrm -f $1/y", "--version", 'chroot "$1" sh -c "a\tb"']),
]
REFUSED = [
    (names.NAME, ["", "-a", ".", "..", "a/b", "a b", "a" * 65, "a\n", "é", "_a"]),
    (names.BRIDGE, ["", ".", "..", "-br", "br 0", "br/0", "a" * 16, "br0\n", "br,x"]),
    (names.SUITE, ["", "-x", "a b", "a/b", "bookworm\n", "$(x)"]),
    (names.COMPONENT, ["", "-main", "main contrib", "main,contrib", "Main"]),
    (
        names.PACKAGE,
        ["", "a", "-nginx", "Nginx", "nginx apache2", "nginx,apache2", "nginx=", "?essential", "/etc/passwd"],
    ),
    (
        names.MIRROR,
        [
            "",
            "mirror.example.org",
            "ftp://x/debian",
            "http://",
            "http:///x",
            "http://a b",
            "file://x",
            "-o x",
            "http://x\n",
        ],
    ),
    (names.COMMAND, ["", " ", "\n", "a\0b", "a\x1b[0m"]),
]


@pytest.mark.parametrize(("reader", "text"), [(reader, text) for reader, texts in ACCEPTED for text in texts])
def test_texts_of_the_right_form_are_read(reader: Matching, text: str) -> None:
    assert reader.read(Scalar(text, plain=False, line=1, column=1)) == text


@pytest.mark.parametrize(("reader", "text"), [(reader, text) for reader, texts in REFUSED for text in texts])
def test_texts_of_another_form_are_refused(reader: Matching, text: str) -> None:
    with pytest.raises(ReadingError) as caught:
        reader.read(Scalar(text, plain=False, line=1, column=1))
    assert caught.value.faults[0].message == f"expected {reader.form}, found {text!r}"


@pytest.mark.parametrize("text", ["/opt/xen/images", "/", "/srv/my images/é", "/a..b/c"])
def test_absolute_paths_are_read(text: str) -> None:
    assert names.parse_absolute_path(text) == PurePosixPath(text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("opt/xen", "expected an absolute path without '..', found 'opt/xen'"),
        ("", "expected an absolute path without '..', found ''"),
        ("/opt/../etc", "expected an absolute path without '..', found '/opt/../etc'"),
        ("/opt/..", "expected an absolute path without '..', found '/opt/..'"),
        ("/a'b", '"/a\'b" is no path for configuration files; avoid quotes, backslashes and control characters'),
        ("/a\nb", "'/a\\nb' is no path for configuration files; avoid quotes, backslashes and control characters"),
        ("/a\\b", "'/a\\\\b' is no path for configuration files; avoid quotes, backslashes and control characters"),
    ],
)
def test_paths_that_configurations_cannot_hold_are_refused(text: str, error: str) -> None:
    with pytest.raises(GuestfarmError) as caught:
        names.parse_absolute_path(text)
    assert str(caught.value) == error
