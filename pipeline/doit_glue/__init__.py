"""The seam to doit: everything that knows how doit works inside."""
