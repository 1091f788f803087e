"""Predictions and outcomes: appended before the answer leaves, compacted to Delta tables, read as one."""
