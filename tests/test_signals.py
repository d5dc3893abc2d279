"""Signals are heard when they come at a bad time, and only then when it is a good one."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

PREPARED = """
import os, signal, threading
from pipeline import signals

def interrupted(block):
    try:
        block()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def run(code: str) -> str:
    """What a program prints."""
    command = [sys.executable, "-c", PREPARED + code]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_a_block_ends_before_it_is_interrupted() -> None:
    told = """
def block():
    with signals.late():
        os.kill(os.getpid(), signal.SIGINT)
        print("to its end")
    print("and no further")
interrupted(block)
interrupted(lambda: os.kill(os.getpid(), signal.SIGINT))
"""
    assert run(told) == "to its end\ninterrupted\ninterrupted\n"


def test_a_block_says_when_it_is_a_good_time() -> None:
    told = """
def block():
    with signals.late() as deliver:
        os.kill(os.getpid(), signal.SIGINT)
        print("here")
        deliver()
        print("not here")
interrupted(block)
"""
    assert run(told) == "here\ninterrupted\n"


def test_the_main_thread_hears_of_what_another_one_is_told_while_it_waits() -> None:
    told = """
waits = threading.Event()
def tell():
    waits.wait()
    os.kill(os.getpid(), signal.SIGINT)  # the only thread that takes it is this one
def wait():
    waits.set()
    threading.Event().wait()
threading.Thread(target=tell).start()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
signals.interrupt_waiting()
signals.interrupt_waiting()
interrupted(wait)
"""
    assert run(told) == "interrupted\n"
