"""Packed bodies: what every client sends is read, and what unpacks to more than the limit costs no more than it."""

import gzip
import json
import tracemalloc
import zlib

import numpy as np
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from payoff.codecs.compression import CODINGS, PAYS_FROM_BYTES, Unpacker, coding, negotiate, pack, shrinks, unpack
from payoff.errors import BadInput, NotRead, TooLarge
from tests.codecs.frames import patient

LIMIT = 1 << 20
TEXT = b'{"inputs": []}' * 20


def bare(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("said", "packed"),
    [
        pytest.param("gzip", gzip.compress(TEXT), id="gzip"),
        pytest.param("x-gzip", gzip.compress(TEXT), id="the old name of gzip"),
        pytest.param("GZIP ", gzip.compress(TEXT), id="names are the same in any case"),
        pytest.param("gzip", gzip.compress(TEXT[:9]) + gzip.compress(TEXT[9:]), id="gzip of two members"),
        pytest.param("deflate", zlib.compress(TEXT), id="deflate as the RFC has it"),
        pytest.param("deflate", bare(TEXT), id="deflate as some clients have it"),
        pytest.param("zstd", zstd.compress(TEXT), id="zstd"),
        pytest.param("zstd", zstd.compress(TEXT[:9]) + zstd.compress(TEXT[9:]), id="zstd of two frames"),
    ],
)
def test_what_others_pack_is_unpacked(said: str, packed: bytes) -> None:
    name = coding(said)
    assert name is not None
    assert unpack(packed, name, LIMIT) == TEXT


@pytest.mark.parametrize("said", ["", "identity", " Identity"])
def test_a_plain_body_may_say_so(said: str) -> None:
    assert coding(said) is None


@pytest.mark.parametrize("said", ["br", "gzip, zstd", "x", "é"])
def test_another_coding_is_named_with_those_that_are_read(said: str) -> None:
    with pytest.raises(NotRead, match="send gzip, zstd, deflate, or a plain body"):
        coding(said)


@pytest.mark.parametrize("name", CODINGS)
def test_a_bomb_is_refused_before_it_takes_memory(name: str) -> None:
    bomb = pack(bytes(64 << 20), name)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="larger than 1,048,576 bytes"):
            unpack(bomb, name, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 4 * LIMIT
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", CODINGS)
def test_exactly_the_limit_is_fine_and_one_byte_more_is_not(name: str) -> None:
    assert len(unpack(pack(bytes(LIMIT), name), name, LIMIT)) == LIMIT
    with pytest.raises(TooLarge):
        unpack(pack(bytes(LIMIT + 1), name), name, LIMIT)


def test_a_zstd_frame_cannot_ask_for_a_window_of_gigabytes() -> None:
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.compression_level: 1}
    packer = zstd.ZstdCompressor(options=options)
    frame = packer.compress(bytes(100)) + packer.flush()  # of a size that the frame does not tell
    with pytest.raises(BadInput, match="zstd"):
        unpack(frame, "zstd", LIMIT)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_a_body_of_endless_empty_members_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="behind its end"):
        unpack(pack(b"", name) * 5_000, name, LIMIT)


@pytest.mark.parametrize("name", CODINGS)
def test_what_is_cut_off_or_has_a_tail_is_refused(name: str) -> None:
    packed = pack(TEXT, name)
    for end in range(len(packed)):
        with pytest.raises(BadInput):
            unpack(packed[:end], name, LIMIT)
    with pytest.raises(BadInput):
        unpack(packed + b"and more", name, LIMIT)


@patient
@given(st.sampled_from(CODINGS), st.binary(max_size=2_000), st.integers(1, 300))
def test_a_body_comes_back_however_it_is_cut_into_pieces(name: str, body: bytes, size: int) -> None:
    packed = pack(body, name)
    unpacker = Unpacker(name, LIMIT)
    for start in range(0, len(packed), size):
        unpacker.feed(packed[start : start + size])
    assert unpacker.finish() == body


@patient
@given(st.sampled_from(CODINGS), st.binary(max_size=300))
def test_random_bytes_are_unpacked_or_refused(name: str, body: bytes) -> None:
    try:
        unpack(body, name, LIMIT)
    except (BadInput, TooLarge):
        return


@pytest.mark.parametrize("name", CODINGS)
def test_only_what_shrinks_is_worth_packing(name: str) -> None:
    chance = np.random.default_rng(5)
    assert shrinks(json.dumps({"data": chance.random(5_000).tolist()}).encode(), name)
    assert shrinks(np.arange(5_000, dtype=np.int64).tobytes(), name)
    assert not shrinks(chance.random(5_000).tobytes(), name)
    assert not shrinks(gzip.compress(chance.bytes(50_000)), name)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        pytest.param("gzip, deflate", ("gzip", PAYS_FROM_BYTES), id="most Python clients"),
        pytest.param("deflate, gzip, br, zstd", ("gzip", PAYS_FROM_BYTES), id="curl --compressed"),
        pytest.param("zstd;q=0.5, deflate", ("deflate", PAYS_FROM_BYTES), id="the one liked best"),
        pytest.param("*", ("gzip", PAYS_FROM_BYTES), id="anything"),
        pytest.param("gzip;q=0.5, zstd", ("zstd", PAYS_FROM_BYTES), id="zstd, if it can be"),
        pytest.param("gzip;q=0, *", ("zstd", PAYS_FROM_BYTES), id="anything but gzip"),
        pytest.param("gzip, identity;q=0", ("gzip", 0), id="never plain"),
        pytest.param("gzip, *;q=0", ("gzip", 0), id="nothing but gzip"),
        pytest.param("x-gzip", ("gzip", PAYS_FROM_BYTES), id="the old name"),
        pytest.param("identity", None, id="plain"),
        pytest.param("", None, id="nothing said"),
        pytest.param("br", None, id="what is not spoken here"),
        pytest.param("gzip;q=two, zstd;q=-1, deflate;q=nan", None, id="not readable"),
    ],
)
def test_the_caller_chooses_how_the_answer_is_packed(accept: str, expected: tuple[str, int] | None) -> None:
    assert negotiate(accept) == expected
