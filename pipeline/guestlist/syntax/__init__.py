"""YAML as text with lines and columns, and ranges of names."""
