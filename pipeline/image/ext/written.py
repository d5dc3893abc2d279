"""Where libext2fs writes to an image, so that who knows what the image was before need not read all of it again."""

import errno
from collections.abc import Callable, Iterator
from typing import Any

from pipeline.image.ext.libext2fs import ffi


class Written:
    """The places of an image that were written to while its file system was open."""

    def __init__(self) -> None:
        self._ranges: set[tuple[int, int]] = set()
        self._kept_alive: list[object] = []
        self._raised: BaseException | None = None

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Each as (start, end) in bytes."""
        return iter(self._ranges)

    def watch(self, filesystem: Any) -> None:  # noqa: ANN401  # cffi's pointers have no types
        """Note from now on where `filesystem` is written to.

        All that the library writes goes through the functions of its channel's manager, see ext2_io.h; the channel gets
        a manager that calls the same functions.
        """
        original = filesystem.io.manager
        watching = ffi.new("struct struct_io_manager *", original[0])
        for name, note in (
            ("write_blk", self._note_blocks),
            ("write_blk64", self._note_blocks),
            ("write_byte", self._note_bytes),
            ("discard", self._note_blocks),
            ("zeroout", self._note_blocks),
        ):
            function = getattr(original, name)
            if function:
                noting = ffi.callback(
                    ffi.typeof(function), _noting(note, function), error=errno.EIO, onerror=self._keep
                )
                setattr(watching, name, noting)
                self._kept_alive.append(noting)
        self._kept_alive.append(watching)
        filesystem.io.manager = watching

    def check(self) -> None:
        """Raise what was raised while the library wrote, as by Ctrl-C: it cannot be raised through the library."""
        if self._raised is not None:
            raise self._raised

    def _keep(self, _kind: object, raised: BaseException, _traceback: object) -> None:
        self._raised = raised

    def _note_blocks(self, channel: Any, block: int, count: int) -> None:  # noqa: ANN401  # as above
        start = block * channel.block_size
        # A negative number counts bytes instead of blocks.
        self._ranges.add((start, start + (count * channel.block_size if count > 0 else -count)))

    def _note_bytes(self, _channel: Any, offset: int, count: int) -> None:  # noqa: ANN401  # as above
        self._ranges.add((offset, offset + count))


def _noting(note: Callable[[Any, int, int], None], function: Any) -> Callable[..., int]:  # noqa: ANN401  # as above
    def called(channel: Any, place: int, count: int, *data: Any) -> int:  # noqa: ANN401  # as above
        note(channel, place, count)
        return int(function(channel, place, count, *data))

    return called
