"""Rows and files on disk. The public names are the modules themselves, so that a worker that takes only `blobs` and
`live` never imports the database: `payoff.store.blobs`, `payoff.store.database`, `payoff.store.live`.
"""
