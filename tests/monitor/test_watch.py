"""The watch on a real house: it judges in order, acts once, and comes to the same again."""

from tests.monitor.home import BEATS, CHALLENGER, LOSES, Home

from payoff.deploy.which import seat
from payoff.records import Role
from payoff.stats import Bets, fold, losses


def test_x(home: Home) -> None:
    home.apply()
    ids = home.answer([True] * 200)
    home.learn(ids, [-5.0] * 200)
    home.look()
    print(home.orders(), home.findings())
    assert 0
