"""From entries as written to the farm: ranges, defaults, addresses, identities."""
