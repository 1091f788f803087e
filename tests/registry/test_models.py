"""Models, immutable versions, aliases."""

from typing import Any

import pytest

from payoff.errors import BadInput, NotFound
from payoff.records import Field, Served, Signature, Type, Version
from payoff.registry import Model, Registry

SIGNATURE = Signature((Field("age", Type.INT64, (), True), Field("x", Type.FLOAT32, (3, 4))), (Field("y", Type.TEXT),))
SERVED = Served("onnx", "c" * 64, SIGNATURE, "d" * 64)


def registered(registry: Registry, model: str, digest: str, **more: Any) -> Version:
    content: dict[str, Any] = {"flavor": "sklearn", "served": SERVED, "size_bytes": 9, "author": "Zoë", "now_us": 5}
    return registry.register(model, digest=digest * 64, **{**content, **more})


def test_versions_count_one_two_three_under_each_model(registry: Registry) -> None:
    assert [registered(registry, "fraud", digest).number for digest in "abc"] == [1, 2, 3]
    assert registered(registry, "churn", "a").number == 1


def test_the_same_bytes_are_the_same_version_as_it_was_first_registered(registry: Registry) -> None:
    first = registered(registry, "fraud", "a", tags={"team": "risk"}, now_us=5)
    registered(registry, "fraud", "b")
    assert registered(registry, "fraud", "a", tags={"team": "other"}, now_us=6) == first
    assert len(registry.versions("fraud")) == 2


def test_a_version_reads_back_equal(registry: Registry) -> None:
    version = registered(
        registry,
        "fraud",
        "a",
        environment={"scikit-learn": "1.9.0"},
        provenance={"file": "fraud modèle.pkl", "tolerance": 1e-6, "rows": 100, "agreed": True, "steps": [1, None]},
        tags={"größe": "😀"},
    )
    assert version.served == SERVED
    assert registry.find("fraud", 1) == version


def test_notes_are_answered_as_they_read_back(registry: Registry) -> None:
    version = registered(registry, "fraud", "a", provenance={"shape": (2, 3)})
    assert version.provenance == {"shape": [2, 3]}
    assert registry.find("fraud") == version


def test_a_version_is_found_by_number_by_alias_or_as_the_latest(registry: Registry) -> None:
    one, two, three = (registered(registry, "fraud", digest) for digest in "abc")
    registry.alias("fraud", "champion", 2)
    assert registry.find("fraud") == three
    assert registry.find("fraud", 1) == registry.find("fraud", "1") == one
    assert registry.find("fraud", "champion") == two


def test_an_alias_may_move_and_belongs_to_one_model(registry: Registry) -> None:
    registered(registry, "fraud", "a")
    registered(registry, "fraud", "b")
    registered(registry, "churn", "a")
    registry.alias("fraud", "champion", 1)
    registry.alias("fraud", "champion", 2)
    assert registry.find("fraud", "champion").number == 2
    with pytest.raises(NotFound, match="it has no aliases"):
        registry.find("churn", "champion")


def test_models_are_listed_by_name_with_what_a_person_asks_first(registry: Registry) -> None:
    for model in ("fraud", "churn", "price"):
        registered(registry, model, "a", now_us=7)
    registered(registry, "fraud", "b", now_us=9)
    registry.alias("fraud", "champion", 1)
    assert registry.models() == [
        Model("churn", 1, 7, {}),
        Model("fraud", 2, 7, {"champion": 1}),
        Model("price", 1, 7, {}),
    ]
    assert [model.name for model in registry.models(limit=1, after="churn")] == ["fraud"]


def test_versions_come_newest_first_page_by_page(registry: Registry) -> None:
    for digest in "abcde":
        registered(registry, "fraud", digest)
    assert [version.number for version in registry.versions("fraud", limit=2)] == [5, 4]
    assert [version.number for version in registry.versions("fraud", limit=9, before=4)] == [3, 2, 1]
    assert registry.versions("fraud", before=1) == []


@pytest.mark.parametrize("limit", [0, -1, 1001, 10**30])
def test_a_list_has_a_limit(registry: Registry, limit: int) -> None:
    registered(registry, "fraud", "a")
    for ask in (registry.orders, registry.findings, registry.models):
        with pytest.raises(BadInput, match="expected 1 to 1000"):
            ask(limit=limit)
    with pytest.raises(BadInput, match="expected 1 to 1000"):
        registry.versions("fraud", limit=limit)


def test_a_wrong_model_is_answered_with_the_closest_and_the_first_ten(registry: Registry) -> None:
    with pytest.raises(NotFound, match="no model called 'fraud'; there is none yet: `payoff deploy PATH`"):
        registry.find("fraud")
    for number in range(12):
        registered(registry, f"model-{number:02}", "a")
    registered(registry, "term-deposit", "a")
    for ask in (registry.find, registry.versions):
        with pytest.raises(NotFound) as refusal:
            ask("trem-deposit")
        assert "did you mean 'term-deposit'? there are: model-00, " in str(refusal.value)
        assert str(refusal.value).endswith("model-09 and 3 more")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (3, "model 'fraud' has no version 3; it has 1 to 2"),
        (0, "model 'fraud' has no version 0"),
        (-1, "model 'fraud' has no version -1"),
        ("7", "model 'fraud' has no version 7"),
        ("champoin", "did you mean 'champion'"),
        ("9" * 5000, "there is: champion"),
        ("' or 1=1 --", "there is: champion"),
    ],
)
def test_a_wrong_version_is_answered_with_the_right_ones(registry: Registry, version: int | str, said: str) -> None:
    registered(registry, "fraud", "a")
    registered(registry, "fraud", "b")
    registry.alias("fraud", "champion", 1)
    with pytest.raises(NotFound, match=said):
        registry.find("fraud", version)


def test_names_are_checked_where_they_enter(registry: Registry) -> None:
    registered(registry, "fraud", "a")
    with pytest.raises(BadInput, match="cannot name a model"):
        registered(registry, "../fraud", "a")
    with pytest.raises(BadInput, match="cannot name an alias"):
        registry.alias("fraud", "The Best", 1)
    with pytest.raises(BadInput, match="reads like a version's number"):
        registry.alias("fraud", "12", 1)
    with pytest.raises(BadInput, match="always means the newest version"):
        registry.alias("fraud", "latest", 1)


def test_an_alias_points_at_a_version_that_is_there(registry: Registry) -> None:
    registered(registry, "fraud", "a")
    with pytest.raises(NotFound, match="no version 2; it has only 1"):
        registry.alias("fraud", "champion", 2)
    with pytest.raises(NotFound, match="no model called 'frau'; did you mean 'fraud'"):
        registry.alias("frau", "champion", 1)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"environment": {"numpy": 2}}, "environment cannot be kept"),
        ({"tags": {"team": None}}, "tags cannot be kept"),
        ({"provenance": {"rows": object()}}, "provenance cannot be kept"),
        ({"author": "me\0"}, "author holds a zero character"),
        ({"author": "\ud800"}, "author is no valid Unicode text"),
        ({"tags": {"team": "\ud800"}}, "tags cannot be kept"),
        ({"size_bytes": 2**64}, "does not fit"),
    ],
)
def test_what_would_not_read_back_is_refused_and_leaves_nothing(
    registry: Registry, bad: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        registered(registry, "fraud", "a", **bad)
    assert registry.models() == []
