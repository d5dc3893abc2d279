"""The commands that users type besides doit's own."""
