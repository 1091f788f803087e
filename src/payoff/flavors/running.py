"""An ONNX model loaded and ready to answer: columns in, columns out, with as little as possible in between."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime as ort

from payoff.errors import ModelFailed
from payoff.flavors.answers import Reader, empty, gives, reader
from payoff.flavors.engine import CPU, Engine
from payoff.flavors.feeds import Feed, Feeder, feeder
from payoff.flavors.flavor import Run
from payoff.flavors.port import Port
from payoff.flavors.session import inputs_of, open_session, outputs_of, reason
from payoff.records.columns import Column, Columns, length
from payoff.records.signature import Signature

Call = Callable[[Feed], Sequence[Any]]


def load(path: Path, signature: Signature, engine: Engine = CPU) -> Run:
    """The model at `path` as a function of columns; ModelFailed if it is not the one of the signature."""
    session = open_session(path, engine)
    inputs, outputs = inputs_of(session), outputs_of(session)
    classes = 2 if any(field.name == "probability" for field in signature.outputs) else None
    feed = feeder(inputs, signature.inputs)
    read = reader(gives(outputs, classes), signature.outputs)
    return _run(feed, caller(session, inputs, outputs), read, signature)


def caller(session: Any, inputs: Sequence[Port], outputs: Sequence[Port]) -> Call:
    """Call the graph. A graph fixed to one row is called once per row; one fixed to more is refused."""
    names = [port.name for port in outputs]
    # InferenceSession.run checks names and rebuilds lists in Python at every call: 4 to 10 microseconds that a worker
    # has checked once when it loaded the model. The binding underneath is the same since onnxruntime 1.0.
    bound = getattr(session, "_sess", None)
    # Without options of ours onnxruntime makes some at every call, which takes it a microsecond.
    options = ort.RunOptions()
    options.log_severity_level = 4

    def call(feed: Feed) -> Sequence[Any]:
        try:
            return cast("Sequence[Any]", bound.run(names, feed, options) if bound else session.run(names, feed))
        except Exception as error:
            raise ModelFailed(f"the model failed on a call: {reason(error)}") from error

    fixed = {port.batch for port in inputs if port.batch is not None}
    if not fixed:
        return call
    if fixed != {1}:
        rows = ", ".join(map(str, sorted(fixed)))
        raise ModelFailed(f"the graph is fixed to {rows} rows per call; export it with a free first dimension")
    return _row_by_row(call, outputs)


def _row_by_row(call: Call, outputs: Sequence[Port]) -> Call:
    def loop(feed: Feed) -> Sequence[Any]:
        n = len(next(iter(feed.values())))
        rows = [call({name: values[row : row + 1] for name, values in feed.items()}) for row in range(n)]
        return [
            [one for row in rows for one in row[place]] if port.maps else np.concatenate([row[place] for row in rows])
            for place, port in enumerate(outputs)
        ]

    return loop


def _run(feed: Feeder, call: Call, read: Reader, signature: Signature) -> Run:
    def run(columns: Columns) -> dict[str, Column]:
        n = length(columns)
        if n == 0:
            return empty(signature.outputs)
        return read(call(feed(columns)), n)

    return run
