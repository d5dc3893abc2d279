"""The live display leaves the terminal as it was, even when it is interrupted."""

import io
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from doit.dependency import Dependency
from rich.console import Console

from pipeline.engine.run.display import Display
from pipeline.engine.run.progress import Forecast
from pipeline.engine.state.digests import Digests, checker
from pipeline.engine.state.state import State

pytestmark = pytest.mark.unit

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
"""What hides the cursor and shows it again, see console_codes(4)."""


class Terminal(io.StringIO):
    """One on which somebody presses Ctrl-C as soon as it shows `at`."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self._at = at

    def write(self, text: str) -> int:
        """Show `text`."""
        written = super().write(text)
        if self._at in text:
            signal.raise_signal(signal.SIGINT)
        return written


@pytest.mark.parametrize(
    ("at", "interrupted"),
    [(HIDE, Display.open), ("it is done", lambda display: display.end("swap:a", "it is done")), (SHOW, Display.close)],
    ids=["opening", "between", "closing"],
)
def test_the_cursor_is_there_again(
    at: str, interrupted: Callable[[Display], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal(at)
    database = tmp_path / "state.db"
    forecast = Forecast([], Dependency(State, str(database), checker_cls=checker(Digests(database))))
    display = Display(forecast, Console(file=terminal, force_terminal=True))
    if interrupted is not Display.open:
        display.open()
    with pytest.raises(KeyboardInterrupt):
        interrupted(display)
    display.close()
    written = terminal.getvalue()
    assert 0 <= written.find(HIDE) < written.rfind(SHOW)
    assert written.count(HIDE) == written.count(SHOW)
