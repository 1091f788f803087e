"""The inference door: HTTP connections, paths, and the worker process behind them."""
