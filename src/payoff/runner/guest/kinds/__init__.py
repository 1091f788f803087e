"""One file per framework, imported by name when a model of it is loaded.

    PRELOAD = ("sklearn",)                 # may be imported before the model is known
    FORK = True                            # False: the framework does not survive a fork
    def load(path: str, options: dict) -> an object with describe(), ask(columns) and perhaps to_onnx(...)

See `serve.py` for what they take and give, and `tables.py` for columns as a pandas DataFrame.
"""
