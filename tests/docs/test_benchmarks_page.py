"""The page of benchmarks says what was measured."""

import pytest

from benchmarks.page import PAGE, page

pytestmark = pytest.mark.docs


def test_the_page_is_what_the_results_say() -> None:
    assert PAGE.read_text() == page()
