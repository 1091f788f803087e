"""What everything earned and cost, in whole micros."""

from payoff.ledger.cost import book, split
from payoff.ledger.prices import Prices, read
from payoff.ledger.statement import Line, Statement, Tally, Total, statement

__all__ = ["Line", "Prices", "Statement", "Tally", "Total", "book", "read", "split", "statement"]
