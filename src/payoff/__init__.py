"""payoff: the last mile of machine learning. Deploy, answer, record, learn the outcome, judge, act."""

__version__ = "0.1.0"
