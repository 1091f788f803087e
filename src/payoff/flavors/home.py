"""A scikit-learn model at home: which columns of a sample it takes, and what it answers there. Child process only.

It is asked by the same code that asks it in an environment of its own (`runner/guest/kinds/sklearn.py`).
"""

from dataclasses import dataclass
from typing import Any

from payoff.errors import BadInput, ModelFailed
from payoff.flavors.rowfile import Rows
from payoff.records.columns import Column
from payoff.records.signature import Field, Type
from payoff.runner.guest.kinds.sklearn import Sklearn, wrap


@dataclass(frozen=True, slots=True)
class Home:
    """A model and the way that it is asked."""

    kind: Sklearn

    def ask(self, rows: Rows) -> Rows:
        """The model's own answers; ValueError in its words where it cannot."""
        answers = self.kind.ask({name: (column.values, column.valid) for name, column in rows.columns.items()})
        columns = {name: Column(values, valid) for name, (values, valid) in answers.items()}
        return Rows(tuple(_field(name, column) for name, column in columns.items()), columns)


def at_home(model: Any, name: str) -> Home:
    """The model, ready to be asked; BadInput for one that payoff cannot serve."""
    try:
        return Home(wrap(model))
    except ValueError as error:
        raise BadInput(f"{name}: {error}") from error


def choose(home: Home, sample: Rows) -> Rows:
    """The columns of the sample that the model takes, in its order; BadInput says which are missing or too many."""
    have = [field.name for field in sample.fields]
    want = have if home.kind.names is None else home.kind.names
    missing = [name for name in want if name not in have]
    if missing:
        raise BadInput(
            f"the model takes the columns {', '.join(want)}; the sample lacks {', '.join(missing)} "
            f"(it has {', '.join(have)})"
        )
    fields = {field.name: field for field in sample.fields}
    for name in want:
        _check(fields[name])
    try:
        home.kind.taken(dict.fromkeys(want))
    except ValueError as error:
        raise BadInput(str(error)) from error
    return Rows(tuple(fields[name] for name in want), {name: sample.columns[name] for name in want})


def _check(field: Field) -> None:
    if field.type in (Type.DATE, Type.TIMESTAMP) or field.shape:
        raise ModelFailed(f"column {field.name!r} is a {field}, which no converted scikit-learn model can take")


def _field(name: str, column: Column) -> Field:
    kind = Type.TEXT if column.values.dtype == object else Type(column.values.dtype.name)
    return Field(name, kind, column.values.shape[1:])
