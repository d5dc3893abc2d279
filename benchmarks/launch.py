"""Runs the program that its arguments name, and prints what that took: wall seconds, CPU seconds, peak memory in KiB.

A program of its own, and one that has next to nothing loaded: Linux counts the memory of the process that forks as the
forked one's until it is the program that was meant. What that program prints goes to standard error.
"""

import os
import sys
import time


def main() -> int:
    """Run the program, and return its exit code."""
    started = time.perf_counter()
    child = os.fork()
    if not child:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        os.execvp(sys.argv[1], sys.argv[1:])
    _, status, usage = os.wait4(child, 0)
    print(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
