"""Benchmarks: what Guestfarm costs next to what people do without it, side by side on the machine at hand.

    python -m benchmarks --help

From the command line down to the clock, each module builds on those below it:

    __main__                  which questions to ask, with which master, where
    guests, populate, noop, resize    one question each: its ways, and what is aimed at
    farms, edits, scripts     a farm to build; a guest's own files; how people put them into a clone by hand
    report                    costs as tables of medians and ratios
    measure, launch, scratch  the clock; a program's memory; a folder that leaves no mounts behind
"""
