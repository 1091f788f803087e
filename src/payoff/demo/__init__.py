"""The bank story, end to end, on real data."""
