"""Load on an endpoint: what it carries, where the knee is, what a million predictions cost, what to set."""
