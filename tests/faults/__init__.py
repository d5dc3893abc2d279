"""Faults at counted moments: programs that are killed, system calls that fail, and a disk that loses its power."""
