"""The path that says what each version of an endpoint earned."""

HANDLERS: list = []
