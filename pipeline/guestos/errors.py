"""What is wrong with several things of one kind, so that it is told all at once: a line for each."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import MasterError


class Faults:
    """The lines so far."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    @contextmanager
    def of(self, thing: str) -> Iterator[None]:
        """Have a MasterError of the block be one of `thing`, to be told with the others."""
        try:
            yield
        except MasterError as error:
            self._lines.append(f"{thing}: {error}")

    def tell(self) -> None:
        """Raise MasterError if there was any."""
        if self._lines:
            raise MasterError("\n".join(self._lines))
