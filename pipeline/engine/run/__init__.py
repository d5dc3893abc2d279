"""Runs: processes, progress, logs, and errors as users see them."""
