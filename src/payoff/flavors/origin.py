"""The model where it came from, in its own framework: which rows of a sample it takes, and what it answers to them.

What it says there is right by definition; everything else that may answer in its place is measured against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from payoff.errors import BadInput, ModelFailed
from payoff.flavors.agree import compare, table
from payoff.flavors.fit import conform, made_up
from payoff.flavors.flavor import Arrival
from payoff.flavors.rowfile import Rows
from payoff.records.columns import Column, Columns
from payoff.records.model import Place
from payoff.records.signature import Field, Signature, Type
from payoff.runner.runner import Ended, Runner

_ALONE_ROWS = 3


@dataclass(frozen=True, slots=True)
class Asked:
    """The rows that a model was asked at home, and its answers."""

    rows: Rows
    answers: Rows
    from_sample: bool

    @property
    def signature(self) -> Signature:
        return Signature(self.rows.fields, self.answers.fields)


class Origin:
    """The model in its own framework, as it was where it was trained: it says what is right."""

    def __init__(self, arrival: Arrival, place: Place, python: Path) -> None:
        self._arrival = arrival
        self._scratch = arrival.into / "scratch"
        self._scratch.mkdir()
        self._start: Callable[[], Runner] = lambda: Runner.start(
            python, place.kind, arrival.path.resolve(), place.options, place.bounds, self._scratch
        )
        self._runner = self._start()
        self._told = self._runner.describe()

    def ask(self, rows: Rows) -> Rows:
        """The model's answers; ModelFailed or BadInput in its own words. A process that died of it is replaced."""
        try:
            answers = self._runner.ask(rows.columns)
        except Ended:
            self._runner = self._start()
            raise
        return Rows(tuple(_answered(name, column, len(rows)) for name, column in answers.items()), dict(answers))

    def asked(self) -> Asked:
        """The rows that it takes of the sample, or made-up ones where it says itself what it takes; and its answers."""
        name, sample = self._arrival.path.name, self._sample()
        rows = _rows(self._told, sample, name)
        try:
            answers = self.ask(rows)
        except ModelFailed as error:
            if sample is not None:
                raise ModelFailed(
                    f"{name} fails on the sample rows in its own framework: {error}; "
                    "give rows of the kind that it was trained on"
                ) from error
            raise BadInput(
                f"{name} fails on made-up rows ({error}); give real ones: --sample FILE, some 100 rows, features only"
            ) from error
        self._prove_row_by_row(rows, answers)
        return Asked(rows, answers, sample is not None)

    def facts(self) -> dict[str, Any]:
        """What the model told of itself, for the provenance."""
        facts = {"estimator": self._told.get("estimator"), "notes": self._told.get("notes")}
        return {name: value for name, value in facts.items() if value}

    def close(self) -> None:
        """End its process."""
        self._runner.close()

    def _sample(self) -> Rows | None:
        if self._arrival.sample is None:
            return None
        from payoff.flavors.sample import rows_of  # Arrow is there if a table is

        return rows_of(self._arrival.sample)

    def _prove_row_by_row(self, rows: Rows, answers: Rows) -> None:
        """payoff asks rows of many callers together, so an answer may not depend on its neighbours."""
        for row in range(min(_ALONE_ROWS, len(rows))):
            one = slice(row, row + 1)
            alone = self.ask(Rows(rows.fields, {n: column.take(one) for n, column in rows.columns.items()}))
            expected = {n: column.take(one) for n, column in answers.columns.items()}
            found = compare(answers.fields, expected, outputs(answers.fields, alone.columns, 1)).differences
            if found:
                raise ModelFailed(
                    f"{self._arrival.path.name} answers row {row} of the sample in one way among others and in another "
                    f"alone (or when asked again):\n{table([replace(one, row=row) for one in found])}\n"
                    "payoff asks the rows of many callers together, so each must be answered by itself"
                )


def _rows(told: Mapping[str, Any], sample: Rows | None, name: str) -> Rows:
    """The rows to ask: of the sample those columns that the model takes, as the types that it says."""
    described = told.get("inputs")
    if described is not None and not (sample is not None and told.get("guessed")):  # a sample knows better than a guess
        fields = tuple(_field(one) for one in described)
        if sample is None:
            return made_up(fields)
        _need(sample, [field.name for field in fields], name)
        return conform(sample, tuple(_with_nulls(field, sample, name) for field in fields))
    if sample is None:
        raise BadInput(
            f"{name} does not say which columns it takes; give some 100 rows of them, features only: --sample FILE "
            "(CSV or Parquet): X.head(100).to_parquet('sample.parquet')"
        )
    takes = told.get("takes")
    if takes is None:
        return sample
    _need(sample, takes, name)
    of = {field.name: field for field in sample.fields}
    return Rows(tuple(of[one] for one in takes), {one: sample.columns[one] for one in takes})


def _need(sample: Rows, names: Sequence[str], model: str) -> None:
    missing = [name for name in names if name not in sample.columns]
    if missing:
        raise BadInput(
            f"{model} takes {', '.join(names)}; the sample lacks {', '.join(missing)} (it has "
            f"{', '.join(sample.columns)}); give rows with the columns that the model was trained on"
        )


def _with_nulls(field: Field, sample: Rows, model: str) -> Field:
    if sample.columns[field.name].valid is not None and not field.nullable:
        raise BadInput(f"column {field.name!r} of the sample has nulls, and {model} takes none there; leave them out")
    return field


def _field(told: Mapping[str, Any]) -> Field:
    return Field(told["name"], Type(told["type"]), tuple(told.get("shape", ())), bool(told.get("nullable", False)))


def _answered(name: str, column: Column, rows: int) -> Field:
    """The output field that a column of answers shows."""
    values = column.values
    if len(values) != rows:
        raise ModelFailed(f"the model got {rows} rows and answered {len(values)} in {name!r}; it must answer each row")
    return Field(name, _type(name, values), values.shape[1:], column.valid is not None)


def _type(name: str, values: NDArray[Any]) -> Type:
    if values.dtype == object:
        return Type.TEXT
    found = next((kind for kind in Type if kind is not Type.TEXT and kind.dtype == values.dtype), None)
    if found is None:
        raise ModelFailed(f"the model answers {values.dtype} in {name!r}; answers are numbers, texts, booleans, dates")
    return found


def outputs(fields: Sequence[Field], answers: Columns, rows: int) -> dict[str, Column]:
    """Answers as the signature has them; ModelFailed if the model answers something else than it did at home."""
    return {field.name: _output(field, answers, rows) for field in fields}


def _output(field: Field, answers: Columns, rows: int) -> Column:
    column = answers.get(field.name)
    if column is None:
        raise ModelFailed(
            f"the model did not answer {field.name!r}, as it did at home; it answered {str([*answers])[:300]}"
        )
    values = column.values
    if values.shape != (rows, *field.shape):
        raise ModelFailed(f"the model answered {values.shape} in {field.name!r} to {rows} rows of shape {field.shape}")
    if not field.nullable and column.valid is not None and not column.valid.all():
        raise ModelFailed(f"the model answered null in {field.name!r}, and its signature says that it always answers")
    if values.dtype == field.type.dtype:
        return column
    if field.type.is_number and values.dtype.kind in "iufb":
        return Column(values.astype(field.type.dtype), column.valid)
    raise ModelFailed(f"the model answered {values.dtype} in {field.name!r}, and {field.type} at home")
