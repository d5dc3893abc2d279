"""Files of this machine that go into guests."""
