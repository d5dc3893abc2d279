"""Hypervisors: the text that makes each of them run a guest. One module each, behind one small interface."""
