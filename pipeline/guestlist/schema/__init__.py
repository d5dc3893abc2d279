"""Keys declared as tables, and the readers that turn text into typed values."""
