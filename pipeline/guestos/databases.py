"""Text files like passwd(5), changed record by record, with everything else in them as it is."""

from collections.abc import Iterator, Sequence


class Database:
    """A file with a record a line, fields separated by colons, the first of them its name.

    Lines that are no records, such as comments, stay as they are; so do those of NIS, which come last: nss(5) goes by
    the order of lines.
    """

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        if self._lines[-1] == "":
            self._lines.pop()
        self._numbers: dict[str, int] = {}
        for number, line in enumerate(self._lines):
            if _is_record(line):
                self._numbers.setdefault(line.partition(":")[0], number)  # of two with one name, the first counts
        self.changed = False

    def __contains__(self, name: str) -> bool:
        return name in self._numbers

    def __iter__(self) -> Iterator[list[str]]:
        return (self._lines[number].split(":") for number in sorted(self._numbers.values()))

    def names(self) -> list[str]:
        """The names of all records, in order."""
        return sorted(self._numbers, key=self._numbers.__getitem__)

    def get(self, name: str, fields: int) -> list[str]:
        """The record `name` with at least so many fields, empty where it lacks them. Raises KeyError."""
        record = self._lines[self._numbers[name]].split(":")
        return record + [""] * (fields - len(record))

    def numbers(self, field: int) -> set[int]:
        """The numbers in a field of all records."""
        texts = (record[field] for record in self if len(record) > field)
        return {int(text) for text in texts if text.isascii() and text.isdecimal()}

    def put(self, record: Sequence[str]) -> None:
        """Have `record` take the place of that of its name, or be the last one."""
        line, name = ":".join(record), record[0]
        if name in self._numbers:
            number = self._numbers[name]
            self.changed = self.changed or self._lines[number] != line
            self._lines[number] = line
            return
        number = next((i for i, each in enumerate(self._lines) if each.startswith(("+", "-"))), len(self._lines))
        self._lines.insert(number, line)
        self._numbers = {each: place + (place >= number) for each, place in self._numbers.items()} | {name: number}
        self.changed = True

    def __str__(self) -> str:
        """The file's text."""
        return "".join(f"{line}\n" for line in self._lines)


def _is_record(line: str) -> bool:
    return ":" in line and not line.startswith(("#", "+", "-", ":"))


def settings(text: str) -> dict[str, str]:
    """What a file like login.defs(5) sets: a name and a value a line, of which the last counts."""
    words = (line.split(maxsplit=1) for line in text.splitlines())
    return {pair[0]: pair[1].strip() for pair in words if len(pair) == 2 and not pair[0].startswith("#")}
