"""The page of benchmarks says what was measured, and each of them can be run again."""

from importlib import import_module

import pytest

from benchmarks.page import PAGE, page

pytestmark = pytest.mark.docs


def test_the_page_is_what_the_results_say() -> None:
    assert PAGE.read_text() == page()


@pytest.mark.parametrize("case", sorted(path.stem for path in PAGE.parents[1].glob("benchmarks/[a-z]*.py")))
def test_every_benchmark_finds_what_it_uses(case: str) -> None:
    import_module(f"benchmarks.{case}")
