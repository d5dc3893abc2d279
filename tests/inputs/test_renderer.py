"""The program that fills in templates: it ends what would take too much, and what is within bounds comes out right."""

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pipeline import process
from pipeline.inputs import renderer
from pipeline.inputs.renderer import Mistake, Render, Request

pytestmark = pytest.mark.unit

GUEST: dict[str, object] = {"name": "deb01", "addresses": ("10.0.0.1",)}
MEMORY = "it takes more memory than templates have"

TOO_MUCH = {
    "{{ '%1000000000d' % 1 }}": MEMORY,
    "{{ '{:1000000000}'.format(1) }}": MEMORY,
    "{{ 'a' | center(1000000000) }}": MEMORY,
    "{{ 'a'.zfill(1000000000) }}": MEMORY,
    "{{ [1] | batch(1000000000, 'a') | list }}": MEMORY,
    "{{ ('a' * 10 ** 6).replace('a', 'a' * 10 ** 6) }}": MEMORY,
    "{{ ['a' * 10 ** 6] * 10 ** 9 }}": MEMORY,
    "{{ (1).to_bytes(10 ** 12) }}": "",  # memory, or a number that Python takes for too large
    "{% set ns = namespace(x='ab') %}{% for x in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}": MEMORY,
    "{% set s = 'ab ' * 5000000 %}" + "".join(f"{{% set a{i} = s.split() %}}" for i in range(14)): MEMORY,
    "{{ 'a' * 2 ** 24 }}b": "it comes to more than 16,777,216 characters",
    "{{ range(10 ** 9) }}": "Range too big",
    "{{ '(' * 9 }}" + "{% if a %}" * 3000: "it is nested too deeply",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}": "it is nested too deeply",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}": "it calls itself without end",
}

ENOUGH = {
    "{{ '%5d|%-5s|%05.1f|%%' % (1, 'a', 2) }}": "    1|a    |002.0|%",
    "{{ '{:>4}{a}'.format(1, a=2) }}": "   12",
    "{{ 'a' | center(5) }}{{ 'a'.zfill(3) }}": "  a  00a",
    "{{ 'a\nb' | indent(2) }}": "a\n  b",
    "{{ [1, 2] | join(', ') }}{{ 'ab' | join('-') }}{{ range(3) | map('string') | join }}": "1, 2a-b012",
    "{{ 'a' ~ 1 ~ none }}{{ 'a' + 'b' }}{{ [1] + [2] }}": "a1Noneab[1, 2]",
    "{% for x in 'ab' %}{{ loop.index }}{{ x * 2 }}{% endfor %}": "1aa2bb",
    "{{ 2 ** 10 * 3 % 7 }} é\n": "6 é\n",
    "{{ guest.addresses }}{{ list }}": "('10.0.0.1',)('a', 'b')",
    "{% for x in range(90000) %}{% endfor %}many": "many",
}


@pytest.fixture(autouse=True)
def time_for_each() -> Iterator[None]:
    """A new program for each test: what one has taken is not there for the next."""
    yield
    for program in renderer._programs:
        program.end()
    renderer._has_crashed.clear()


def rendered(guest: dict[str, object], renders: Sequence[Render]) -> list[bytes | Mistake]:
    (found,) = renderer.rendered([Request(guest, renders)])
    return found


def render(source: str) -> bytes | Mistake:
    (found,) = rendered(GUEST, [Render("t", source, {"list": ("a", "b")})])
    return found


@pytest.mark.parametrize(("source", "message"), TOO_MUCH.items())
def test_too_much(source: str, message: str) -> None:
    found = render("\n" + source)
    assert isinstance(found, Mistake)
    assert message in found.message
    assert render("{{ guest.name }}") == b"deb01", "another template is filled in"


@pytest.mark.parametrize(("source", "text"), ENOUGH.items())
def test_enough(source: str, text: str) -> None:
    found = render(source)
    assert isinstance(found, bytes)
    assert found.decode() == text


@pytest.mark.parametrize("source", ["{{ [1, 2] | random }}", "{{ lipsum() }}", "{{ ().__class__ }}"])
def test_out_of_reach(source: str) -> None:
    assert isinstance(render(source), Mistake)


def test_the_line_of_each_mistake() -> None:
    found = rendered(GUEST, [Render("a", "\n{{ b }}", {}), Render("c", "d", {}), Render("e", "\n\n{% if %}", {})])
    assert found[0] == Mistake(2, "'b' is undefined")
    assert found[1] == b"d"
    assert found[2] == Mistake(3, "Expected an expression, got 'end of statement block'")


def test_one_that_ends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and nothing that comes after it is tried."""
    assert render("a") == b"a"
    monkeypatch.setattr(renderer, "_LIMITS", process.Limits(memory=1 << 20, seconds=1))
    renderer._programs[-1].end()
    assert render("a") == Mistake(1, "it takes more time or memory than templates have")
    assert render("a") == renderer.NOT_TRIED


def test_a_program_that_was_killed_is_started_again() -> None:
    """As it is when the thread that had started it ends."""
    assert render("a") == b"a"
    os.kill(renderer._programs[-1]._running._process.pid, signal.SIGKILL)
    renderer._programs[-1]._running.wait()
    assert render("{{ guest.name }}") == b"deb01"


def test_a_fork_has_a_program_of_its_own(tmp_path: Path) -> None:
    assert render("a") == b"a"
    said = tmp_path / "said"
    child = os.fork()
    if child == 0:
        try:
            found = render("{{ guest.name }}")
            said.write_bytes(found if isinstance(found, bytes) else b"")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert said.read_bytes() == b"deb01"
    assert render("b") == b"b"


def asked(*sources: str) -> list[Request]:
    """A guest for each template."""
    return [
        Request({"name": f"deb{number}"}, [Render(f"t{number}", source, {})]) for number, source in enumerate(sources)
    ]


def test_each_guest_has_its_answers_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """However guests and texts fall into batches and answers."""
    shared: dict[str, str | tuple[str, ...]] = {"port": "80"}
    requests = [
        Request(
            {"name": f"deb{number}"},
            [Render("t", "{{ guest.name }}:{{ port }}", shared), Render("u", "{{ own }}", {"own": f"u{number}"})]
            * (number % 3),
        )
        for number in range(50)
    ]
    wanted = [[f"deb{number}:80".encode(), f"u{number}".encode()] * (number % 3) for number in range(50)]
    for largest in (1, 200, 1 << 20):
        monkeypatch.setattr(renderer, "_LARGEST_BATCH", largest)
        assert list(renderer.rendered(requests)) == wanted


def test_many_guests_are_one_question() -> None:
    requests = asked(*["{{ guest.name }}"] * 100)
    (batch,) = renderer._batches(requests)
    assert len(batch.requests) == 100


def test_batches_have_bounds() -> None:
    """Of guests, of variables and of templates alike; one that is larger is a batch of its own."""
    large = "x" * renderer._LARGEST_BATCH
    render = Render("t", "a", {})
    for each in (
        Request({"name": large}, [render]),
        Request({}, [Render("t", "a", {"a": large})]),
        Request({}, [Render("t", large, {})]),
    ):
        assert [len(batch.requests) for batch in renderer._batches([each, each, Request({}, [render])])] == [1, 1, 1]


def test_requests_are_taken_no_further_ahead_than_a_batch() -> None:
    taken = []

    def requests() -> Iterator[Request]:
        for number in range(3):
            taken.append(number)
            yield Request({"name": "x" * renderer._LARGEST_BATCH}, [Render("t", "a", {})])

    answers = renderer.rendered(requests())
    assert next(answers) == [b"a"]
    assert taken == [0]


def test_long_texts_come_one_by_one() -> None:
    """An answer ends where its texts are long: neither side has those of many guests in memory."""
    sources = ["{{ 'é' * 2 ** 20 }}"] * 5
    (batch,) = renderer._batches(asked(*sources))
    sizes: list[int] = []
    while sum(sizes) < len(sources):
        found = batch.answered()
        assert all(text == "é".encode() * 2**20 for text in found)
        sizes.append(len(found))
    assert sizes == [1] * 5
    assert list(renderer.rendered(asked(*sources, "b")))[-1] == [b"b"]


def test_mistakes_in_a_batch() -> None:
    found = list(renderer.rendered(asked("a", "\n{{ b }}", "c", "{{ 'a' * 10 ** 9 }}", "é")))
    assert found[0] == [b"a"]
    assert found[1] == [Mistake(2, "'b' is undefined")]
    assert found[2] == [b"c"]
    assert found[3] == [Mistake(1, MEMORY)]
    assert found[4] == ["é".encode()]


ENDED = Mistake(1, "it takes more time or memory than templates have")

CRASHING = """\
import os, sys
sys.path.insert(0, {folder!r})
import jinja
made = jinja.environment()
made.globals["crash"] = os._exit
jinja.environment = lambda: made
jinja.main()
"""


@pytest.fixture
def crashing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A template that ends the program at once, as the kernel does when the limits are passed."""
    program = tmp_path / "crashing.py"
    program.write_text(CRASHING.format(folder=str(renderer._PROGRAM.parent)))
    monkeypatch.setattr(renderer, "_PROGRAM", program)
    return "{{ crash(1) }}"


def test_one_in_the_middle_of_a_batch_that_ends_the_program(crashing: str) -> None:
    """Those before it have their texts, it is told, and nothing that comes after it is tried."""
    assert list(renderer.rendered(asked("a", "\n{{ b }}", "c", crashing, "e", "f"))) == [
        *([b"a"], [Mistake(2, "'b' is undefined")], [b"c"]),
        [ENDED],
        *([renderer.NOT_TRIED], [renderer.NOT_TRIED]),
    ]
    assert list(renderer.rendered(asked("a"))) == [[renderer.NOT_TRIED]]


def test_one_that_ends_the_program_after_the_first_answer(crashing: str) -> None:
    """Its number counts from the first render of the batch, not of the question."""
    long = "{{ 'a' * 2 ** 20 }}"
    found = list(renderer.rendered(asked(long, long, "c", crashing, "e")))
    assert found == [[b"a" * 2**20], [b"a" * 2**20], [b"c"], [ENDED], [renderer.NOT_TRIED]]


def test_one_in_the_middle_of_a_batch_that_does_not_end() -> None:
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    assert list(renderer.rendered(asked("a", endless, "c"))) == [
        [b"a"],
        [Mistake(1, "it takes more time than templates have")],
        [renderer.NOT_TRIED],
    ]


def test_who_stops_listening_gets_no_stale_answers() -> None:
    assert next(renderer.rendered(asked("a", "b"))) == [b"a"]
    assert render("c") == b"c"


def test_a_program_that_was_killed_between_batches_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderer, "_LARGEST_BATCH", 1)
    answers = renderer.rendered(asked("a", "b", "c"))
    assert next(answers) == [b"a"]
    os.kill(renderer._programs[-1]._running._process.pid, signal.SIGKILL)
    renderer._programs[-1]._running.wait()
    assert list(answers) == [[b"b"], [b"c"]]
