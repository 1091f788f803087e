"""Texts in one block are the same as a list of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from payoff.codecs import celltext
from payoff.records.texts import Texts

WORDS = st.lists(st.text("abc019-", min_size=3, max_size=3), max_size=12)


def block(words: list[str]) -> Texts:
    return Texts(np.frombuffer("".join(words).encode(), np.uint8).reshape(len(words), 3))


@given(WORDS, st.slices(12))
def test_a_block_is_read_as_the_list_of_its_texts(words: list[str], part: slice) -> None:
    texts = block(words)
    assert (len(texts), [*texts], [*texts[part]]) == (len(words), words, words[part])
    assert [texts[at] for at in range(len(words))] == words


@given(WORDS, st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_answers_have_the_same_ids_whether_they_come_as_a_block_or_as_a_list(
    words: list[str], counts: list[int]
) -> None:
    ids = (words * sum(counts) + ["abc"] * sum(counts))[: sum(counts)]
    for write in (celltext.flat_ids, celltext.raw_ids):
        assert write(block(ids), counts) == write(ids, counts)
