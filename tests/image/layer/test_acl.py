"""Access control lists: the bytes are those that the kernel keeps, and that libext2fs takes."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ImageError
from pipeline.image.layer import acl
from tests.machine import need_programs, run

pytestmark = pytest.mark.unit

LISTS = {
    "named": "user::rw-,user:1234:r--,group::r-x,group:5678:rwx,mask::rwx,other::---",
    "many": "user::rwx,user:7:r--,user:70000:-w-,user:4294967294:--x,group::---,mask::r-x,other::r--",
    "order": "other::r--,mask::rwx,group:9:r--,group:8:r--,group::r--,user:6:r--,user:5:rw-,user::rw-",
}


@pytest.mark.parametrize("given_list", LISTS.values(), ids=LISTS)
@pytest.mark.parametrize(("option", "name"), [("--modify", acl.ACCESS), ("--default", acl.DEFAULT)])
def test_same_as_the_kernels(given_list: str, option: str, name: str, tmp_path: Path) -> None:
    need_programs("setfacl", "getfacl")
    options = ["--default", "--modify"] if option == "--default" else ["--modify"]
    run("setfacl", *options, given_list, tmp_path)
    kept = os.getxattr(tmp_path, name)
    assert acl.parse(given_list) == kept
    # What acl_to_text() makes of it, which is what tar writes.
    shown = run("getfacl", "--omit-header", "--absolute-names", "--numeric", "--no-effective", tmp_path)
    ours = [line for line in shown.splitlines() if line.startswith("default:") == (option == "--default")]
    assert acl.parse("\n".join(line.removeprefix("default:") for line in ours)) == kept


SAME = {
    "newlines": "user::rw-\ngroup::r--\nother::r--\n",
    "no empty names": "user::rw-,group::r--,other:r--",
    "blanks and comments": " user::rw- \ngroup::r--\t#effective:r--\n\nother::r--",
}


@pytest.mark.parametrize("written", SAME.values(), ids=SAME)
def test_other_ways_to_write_it(written: str) -> None:
    assert acl.parse(written) == acl.parse("user::rw-,group::r--,other::r--")


def test_number_behind_the_name() -> None:
    """As star(5) has it."""
    assert acl.parse("user::rw-,user:lisa:rwx:502,group::r--,mask::rwx,other::r--") == acl.parse(
        "user::rw-,user:502:rwx,group::r--,mask::rwx,other::r--"
    )


@given(order=st.permutations(LISTS["many"].split(",")))
def test_order_does_not_matter(order: list[str]) -> None:
    assert acl.parse(",".join(order)) == acl.parse(LISTS["many"])


WRONG = {
    "name without a number": ("user:lisa:rwx", "'lisa' has no number; pack the archive with tar --xattrs, too"),
    "no such tag": ("nobody::rwx", "cannot make sense of 'nobody::rwx'"),
    "short": ("user", "cannot make sense of 'user'"),
    "named mask": ("mask:5:rwx", "cannot make sense of 'mask:5:rwx'"),
    "number of another script": ("user:\u0665:rwx", "has no number"),
    "number of 40 bits": ("user:1099511627776:rwx", "has no number"),
}


@pytest.mark.parametrize(("written", "message"), WRONG.values(), ids=WRONG)
def test_wrong(written: str, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        acl.parse(written)
