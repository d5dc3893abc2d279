"""The guest list for other programs: JSON schema, reference, inventories."""
