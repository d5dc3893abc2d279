"""The program `doit`: doit's own main, with Guestfarm's promises about what goes wrong before any command is known.

Other modules are imported only when Ctrl-C is prepared for: it may come while they are.
"""

from pipeline import signals


def main() -> int:
    """Do what the command line says, and return the exit code."""
    signals.end_at_once()
    from pipeline.engine.run.main import run  # noqa: PLC0415  # see above

    return run()


if __name__ == "__main__":
    raise SystemExit(main())
