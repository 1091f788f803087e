"""The one small SQL dialect in which an endpoint says what it decides, what that is worth and what is forbidden.

`parse` checks a text against the columns there are; the Expression answers over NumPy columns on the hot path and as
DuckDB SQL in reports, and both agree value by value.
"""

from payoff.expressions.expression import Expression, named, parse
from payoff.expressions.forms import Batch
from payoff.expressions.scope import Scope

__all__ = ["Batch", "Expression", "Scope", "named", "parse"]
