"""The keys of guests.yaml, in tables: one module for each kind of thing that has keys."""
