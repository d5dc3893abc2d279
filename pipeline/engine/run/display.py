"""The live display of a run on a terminal: a bar with bytes and the time that is left, and the tasks that run."""

import atexit
from time import monotonic

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeline import signals
from pipeline.engine.run.progress import Forecast
from pipeline.model.sizes import approximate_size

_RUNNING_SHOWN = 8
"""How many of the tasks that run are named."""
_SURE = 1.0
"""Seconds after which the pace of this run tells more than forecasts do."""
_TELLING = ("master:", "populate:")
"""The kinds of tasks after which more is known."""


class Display:
    """What a terminal shows below the lines of tasks that have ended."""

    def __init__(self, forecast: Forecast, console: Console | None = None) -> None:
        self._forecast = forecast
        self._running: dict[str, float] = {}
        self._ended: set[str] = set()
        self._started = monotonic()
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._live = Live(
            get_renderable=self._render, console=self._console, refresh_per_second=4, transient=True,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip

    def open(self) -> None:
        """Show it, until `close` is called or the process ends."""
        atexit.register(self.close)
        with signals.late():  # rich does not expect to be interrupted, and would leave the cursor hidden
            self._live.start()

    def start(self, task: str) -> None:
        """A task starts."""
        self._running[task] = monotonic()

    def end(self, task: str, line: str) -> None:
        """A task has ended, and there is a `line` to say of it that stays."""
        self._running.pop(task, None)
        self._ended.add(task)
        with signals.late():
            self._console.print(Text(line))
        if task.startswith(_TELLING):
            self._forecast.look_again()

    def close(self) -> None:
        """Leave the terminal as it was."""
        with signals.late():
            self._live.stop()

    def _render(self) -> Group:
        total, done = sum(self._forecast.seconds.values()), self._done()
        bar = Table.grid(padding=(0, 1), expand=False)
        bytes_done = sum(self._forecast.bytes.get(name, 0) for name in list(self._ended))
        bar.add_row(
            ProgressBar(total=total or 1, completed=min(done, total), width=30),
            f"{len(self._ended):,} of {len(self._forecast.seconds):,}",
            f"{approximate_size(bytes_done)} of {approximate_size(sum(self._forecast.bytes.values()))}",
            f"{_clock(self._left(total, done))} left",
        )
        now = monotonic()
        running = [f"{name} {_clock(now - since)}" for name, since in list(self._running.items())]
        more = f" and {len(running) - _RUNNING_SHOWN} more" if len(running) > _RUNNING_SHOWN else ""
        return Group(bar, Text(", ".join(running[:_RUNNING_SHOWN]) + more, overflow="ellipsis", no_wrap=True))

    def _done(self) -> float:
        """The forecast seconds of what has ended, and of what runs as far as it has come, but never all of it."""
        forecast, now = self._forecast.seconds, monotonic()
        begun = sum(min(now - since, 0.9 * forecast.get(name, 0)) for name, since in list(self._running.items()))
        return begun + sum(forecast.get(name, 0) for name in list(self._ended))

    def _left(self, total: float, done: float) -> float:
        elapsed = monotonic() - self._started
        pace = done / elapsed if elapsed > _SURE and done > 0 else 1.0
        return max(0.0, total - done) / pace


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
