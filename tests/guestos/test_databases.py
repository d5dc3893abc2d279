"""Files like passwd(5): what is changed in them, and that nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.guestos.databases import Database, settings

pytestmark = pytest.mark.unit

LINES = st.lists(st.text(alphabet="ab:+-# \u00fc\udcff", max_size=12), max_size=8)
NAMES = st.sampled_from(["a", "b", "ab", "new"])


@given(LINES)
def test_what_nobody_changes_stays(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    database = Database(text)
    assert (str(database), database.changed) == (text, False)


@given(LINES, st.lists(st.tuples(NAMES, st.sampled_from(["1", "2", ""])), min_size=1, max_size=4))
def test_only_records_that_are_put_change(lines: list[str], puts: list[tuple[str, str]]) -> None:
    before = "".join(f"{line}\n" for line in lines)
    database = Database(before)
    for name, value in puts:
        database.put([name, value])
    wanted = {name: [name, value] for name, value in puts}
    after = Database(str(database))
    assert {name: after.get(name, 2) for name in wanted} == wanted
    assert [record[0] for record in after] == [record[0] for record in database]
    first = {line.partition(":")[0]: number for number, line in reversed(list(enumerate(lines))) if ":" in line}
    ours = {first[name] for name in wanted if name in first}
    others = [line for number, line in enumerate(lines) if number not in ours]
    kept = str(database).split("\n")[:-1]
    remaining = iter(kept)
    assert all(any(line == each for each in remaining) for line in others), "in their order"
    assert len(kept) == len(lines) + len([name for name in wanted if name not in first])


def test_new_records_come_before_those_of_nis() -> None:
    database = Database("root:x:0\n+@admins::\n+::\n")
    database.put(["new", "x", "1"])
    database.put(["newer", "x", "2"])
    assert str(database) == "root:x:0\nnew:x:1\nnewer:x:2\n+@admins::\n+::\n"


def test_a_file_without_a_newline_at_its_end() -> None:
    database = Database("root:x:0")
    database.put(["new", "x", "1"])
    assert str(database) == "root:x:0\nnew:x:1\n"


def test_of_two_with_one_name_the_first_counts() -> None:
    database = Database("root:x:0\nroot:y:1\n")
    assert database.get("root", 3) == ["root", "x", "0"]
    database.put(["root", "z", "0"])
    assert str(database) == "root:z:0\nroot:y:1\n"


def test_settings() -> None:
    assert settings("# UID_MIN 1\nUID_MIN\t\t 500 \n\nGID_MIN\nUID_MIN 600\n") == {"UID_MIN": "600"}
