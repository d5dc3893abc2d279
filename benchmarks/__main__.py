"""The command line: python -m benchmarks [QUESTION ...] [options]. Tables go to standard output."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import guests, many, noop, populate, resize
from benchmarks.scratch import scratch
from pipeline.errors import GuestfarmError

_QUESTIONS, _ALL = ("guests", "many", "populate", "noop", "resize"), "all"


def main() -> int:
    """Ask the questions that the command line names, and print each table as soon as it is there."""
    options = _options()
    try:
        with scratch(options.folder) as folder:
            for text in _answers(options, folder):
                print(text, flush=True)
    except GuestfarmError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _answers(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    asked = _QUESTIONS if _ALL in options.questions else options.questions
    if "guests" in asked:
        yield from guests.run(folder, _master(options), options.root, options.rounds)
    if "many" in asked:
        yield from many.run(folder, options.many, options.rounds)
    if "populate" in asked:
        yield from populate.run(folder, _master(options), options.root, options.rounds)
    if "noop" in asked:
        yield from noop.run(folder, options.sizes, options.rounds)
    if "resize" in asked:
        yield from resize.run(folder, _master(options), options.root, options.rounds)


def _master(options: argparse.Namespace) -> Path:
    if options.master is not None:
        return Path(options.master)
    built = sorted(Path("build", "masters").glob("*/rootfs.tar"))
    if not built:
        raise GuestfarmError("there is no master to measure with", "build the example farm first, or give --master TAR")
    return built[0].resolve()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Guestfarm beside what it replaces.")
    add = parser.add_argument
    choices = [*_QUESTIONS, _ALL]
    add("questions", nargs="*", choices=choices, default=_ALL, metavar="QUESTION", help=f"of {', '.join(choices)}")
    add("--master", type=_existing, metavar="TAR", help="a root file system; else the built example farm's")
    add("--root", default="2G", metavar="SIZE", help="of the guests' root disks; else %(default)s")
    add(
        "--sizes",
        nargs="+",
        type=_count,
        default=[3, 100, 1000, 10_000],
        metavar="GUESTS",
        help="for noop; else %(default)s",
    )
    add("--many", type=_count, default=1000, metavar="GUESTS", help="for many; else %(default)s")
    add("--rounds", type=_count, default=5, metavar="N", help="beside one to warm up; else %(default)s")
    add("--folder", type=_existing, default="/var/tmp", help="where to work, on the disk to measure; else %(default)s")
    return parser.parse_args()


def _existing(text: str) -> Path:
    if not Path(text).exists():
        raise argparse.ArgumentTypeError(f"{text} does not exist")
    return Path(text).resolve()


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 on")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
