"""What is on record of artifacts, and whether they are fresh."""
