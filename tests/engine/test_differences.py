"""What is said of inputs that changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.artifact.differences import Json, differences

pytestmark = pytest.mark.unit

CARD: dict[str, Json] = {"mac": "00:16:3e:00:00:01", "address": "10.0.0.11/24", "nameservers": ["10.0.0.1"]}


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ({"recipe": 3}, {"recipe": 4}, ["recipe changed from 3 to 4"]),
        ({"a": 1}, {"a": 1}, []),
        (
            {"network": [CARD]},
            {"network": [{**CARD, "address": "10.0.0.21/24"}]},
            ["address changed from 10.0.0.11/24 to 10.0.0.21/24"],
        ),
        (
            {"network": [CARD, CARD]},
            {"network": [CARD, {**CARD, "nameservers": ["10.0.0.1", "10.0.0.2"]}]},
            ["network 2: nameservers: 10.0.0.2 is new"],
        ),
        (
            {"network": [CARD]},
            {"network": []},
            ["network: mac 00:16:3e:00:00:01, address 10.0.0.11/24, nameservers 10.0.0.1 is gone"],
        ),
        ({"packages": {"include": ["a", "b"]}}, {"packages": {"include": ["b"]}}, ["packages: include: a is gone"]),
        ({"order": ["a", "b"]}, {"order": ["b", "a"]}, ["order: the order changed"]),
        ({"swap UUID": None}, {"swap UUID": "1-2"}, ["swap UUID: 1-2 is new"]),
        ({"mounts": "x"}, {}, ["mounts: x is gone"]),
        (
            {"deb01.cfg": "name = x\nmemory = 512\nvcpus = 1\n"},
            {"deb01.cfg": "name = x\nmemory = 1024\nvcpus = 1\nmaxvcpus = 2\n"},
            ["deb01.cfg: memory = 512 became memory = 1024", "deb01.cfg: maxvcpus = 2 is new"],
        ),
        (
            {"text": "".join(f"{number}\n" for number in range(9))},
            {"text": "\n"},
            [
                "text: 0 became ",
                *[f"text: {number} is gone" for number in range(1, 6)],
                "text: and 3 lines more",
            ],
        ),
        (
            {"users": {"ops": "0" * 16}},
            {"users": {"ops": "1" * 16, "web": "2" * 16}},
            ["user ops changed", "user web is new"],
        ),
        ({"users": {"ops": "0" * 16}}, {"users": None}, ["user ops is gone"]),
        ({"files": {"/etc/motd": "0" * 16}}, {"files": {"/etc/motd": "1" * 16}}, ["file /etc/motd changed"]),
        (
            {"units": {"a.service": "enabled", "b.service": "enabled"}},
            {"units": {"b.service": "masked", "c.timer": "disabled"}},
            ["unit a.service is not enabled any more", "unit b.service masked", "unit c.timer disabled"],
        ),
        (
            {"roles": {"web": {"tree": {}, "files": {"/etc/a": "0" * 16}}}},
            {"roles": {"web": {"tree": {"/etc/b": "2" * 16}, "files": {"/etc/a": "1" * 16}}, "db": {"files": {}}}},
            ["role web: file /etc/b is new", "role web: file /etc/a changed", "role db is new"],
        ),
        ({"names and addresses": "0" * 16}, {"names and addresses": "1" * 16}, ["names and addresses changed"]),
    ],
)
def test_in_words(before: dict[str, Json], after: dict[str, Json], lines: list[str]) -> None:
    assert differences(before, after) == lines


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(*[st.dictionaries(st.text(max_size=3), _JSON, max_size=4)] * 2)
def test_something_is_said_when_there_is_something_to_say(before: dict[str, Json], after: dict[str, Json]) -> None:
    present = {name: value for name, value in before.items() if value is not None}
    assert differences(before, before) == []
    if {name: value for name, value in after.items() if value is not None} != present:
        assert differences(before, after)
