"""The REST API: parse, call one engine, reply. `control` is the process it lives in."""
