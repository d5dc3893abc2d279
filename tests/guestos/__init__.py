"""Tests of what a guest's own programs make of the files that are written for them."""
