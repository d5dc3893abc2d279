"""The program `doit`: doit's own main, with Guestfarm's promises about what goes wrong before any command is known.

In a project that is no farm it is doit's own, and nothing else.

Other modules are imported only when Ctrl-C is prepared for: it may come while they are.
"""

import sys

from pipeline import signals


def main() -> int:
    """Do what the command line says, and return the exit code."""
    signals.end_at_once()
    from pipeline.project import is_farm  # noqa: PLC0415  # see above

    if not is_farm(sys.argv[1:]):
        signals.raise_interrupts()
        from doit.__main__ import main as doit_main  # noqa: PLC0415  # another project's doit is none of ours

        return int(doit_main() or 0)
    from pipeline.engine.run.main import run  # noqa: PLC0415  # see above

    return run()


if __name__ == "__main__":
    raise SystemExit(main())
