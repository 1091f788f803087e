"""Messages of the gRPC door: the same numbers as everybody's, and what is done by hand means what protobuf means."""

import random
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2, service_pb2

from payoff.codecs import proto, proto_infer, proto_known, wire
from payoff.codecs.proto_infer import Responses
from payoff.codecs.proto_known import Loose, Shape
from payoff.errors import BadInput
from payoff.records import Field, Type

FIELDS = (Field("a", Type.FLOAT32, (3,)), Field("b", Type.INT64), Field("c", Type.BOOL))
DTYPES = {"a": np.float32, "b": np.int64, "c": np.bool_}
DATATYPES = {"a": "FP32", "b": "INT64", "c": "BOOL"}


def asked(rows: int, id: str, order: list[str], outputs: list[str], seed: int) -> Any:
    """A request for a model of FIELDS, by another's classes."""
    chance = np.random.default_rng(seed)
    made = service_pb2.ModelInferRequest(model_name="m", id=id)
    for name in order:
        shape = [rows, 3] if name == "a" else [rows]
        made.inputs.add(name=name, datatype=DATATYPES[name], shape=shape)
        made.raw_input_contents.append((chance.random(shape) * 2).astype(DTYPES[name]).tobytes())
    for name in outputs:
        made.outputs.add(name=name)
    return made


def shape_of(made: Any, rows: int = 2) -> Shape | None:
    data = made.SerializeToString()
    return Shape.of(data, proto_infer.request(data), FIELDS, rows)


@pytest.mark.parametrize("theirs", [*service_pb2.DESCRIPTOR.message_types_by_name])
def test_every_field_has_the_number_and_the_type_that_others_know(theirs: str) -> None:
    if theirs in ("InferResponseStatistics", "InferBatchStatistics", "MemoryUsage"):
        with pytest.raises(KeyError):
            proto.message(f"inference.{theirs}")  # nothing is said of these
        return
    check(proto.message(f"inference.{theirs}").DESCRIPTOR, service_pb2.DESCRIPTOR.message_types_by_name[theirs])


def test_a_configuration_has_the_numbers_that_others_know() -> None:
    others = model_config_pb2.DESCRIPTOR
    check(proto.message("inference.ModelConfig").DESCRIPTOR, others.message_types_by_name["ModelConfig"])
    numbers = {value.name: value.number for value in others.enum_types_by_name["DataType"].values}
    assert {f"TYPE_{name}": number for number, name in enumerate(proto.DATA_TYPES)} == numbers


def check(ours: Any, theirs: Any) -> None:
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        assert (field.number, field.type, field.is_repeated) == (other.number, other.type, other.is_repeated)
        if field.message_type is None:
            assert (field.containing_oneof is None) == (other.containing_oneof is None)
        else:
            assert field.message_type.full_name == other.message_type.full_name
            check(field.message_type, other.message_type)


@given(
    rows=st.integers(0, 40),
    ids=st.tuples(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8)),
    order=st.permutations(["a", "b", "c"]),
    outputs=st.lists(st.sampled_from(["y", "z"]), unique=True),
    seeds=st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
def test_a_request_like_one_before_it_is_cut_where_protobuf_finds_its_parts(
    rows: int, ids: tuple[str, str], order: list[str], outputs: list[str], seeds: tuple[int, int]
) -> None:
    first, second = (asked(rows, id, order, outputs, seed) for id, seed in zip(ids, seeds, strict=True))
    shape = shape_of(first, rows)
    assert shape is not None
    assert (shape.rows, shape.outputs) == (rows, tuple(outputs) or None)
    data = second.SerializeToString()
    if len(data) != shape.size:
        return
    parts = shape.parts(data)
    assert parts is not None
    assert shape.id_at is not None
    assert parts[shape.id_at] == ids[1].encode()
    raws = dict(zip(order, second.raw_input_contents, strict=True))
    assert [parts[at] for at in shape.at] == [raws[field.name] for field in FIELDS]


@given(st.integers(0, 5), st.data())
def test_a_request_with_a_byte_changed_is_of_the_shape_only_if_it_means_the_same(
    rows: int, data: st.DataObject
) -> None:
    made = asked(rows, "id", ["a", "b", "c"], ["y"], 1)
    shape, whole = shape_of(made, rows), made.SerializeToString()
    assert shape is not None
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    parts = shape.parts(changed)
    if parts is None or shape.id_at is None or not parts[shape.id_at].isascii():
        return
    meant = proto_infer.request(changed)
    assert [parts[place] for place in shape.at] == list(meant.raw_input_contents)
    assert parts[shape.id_at].decode() == meant.id
    del meant.raw_input_contents[:], made.raw_input_contents[:]
    meant.id = made.id = ""
    assert meant.SerializeToString() == made.SerializeToString()


WORDS = (*FIELDS, Field("t", Type.TEXT))


def worded(id: str, words: list[str], order: list[str], seed: int) -> Any:
    """A request with texts, one for each row."""
    made = asked(len(words), id, [name for name in order if name != "t"], ["y"], seed)
    raw = b"".join(len(word.encode()).to_bytes(4, "little") + word.encode() for word in words)
    place = order.index("t")
    inputs, raws = [*made.inputs], [*made.raw_input_contents]
    del made.inputs[:], made.raw_input_contents[:]
    tensor = service_pb2.ModelInferRequest.InferInputTensor(name="t", datatype="BYTES", shape=[len(words)])
    made.inputs.extend([*inputs[:place], tensor, *inputs[place:]])
    made.raw_input_contents.extend([*raws[:place], raw, *raws[place:]])
    return made


def loose_of(made: Any, rows: int) -> Loose | None:
    data = made.SerializeToString()
    return Loose.of(data, proto_infer.request(data), WORDS, rows)


def found_by(shape: Loose, data: bytes) -> tuple[bytes, ...] | None:
    for key, id, at in proto_known.cut(data, {3, len(shape.key[1])}):
        if key == shape.key:
            return shape.parts(data, id, at)
    return None


@given(
    ids=st.tuples(st.text(max_size=8), st.text(max_size=200)),
    words=st.integers(0, 3).flatmap(lambda n: st.tuples(*[st.lists(st.text(max_size=60), min_size=n, max_size=n)] * 2)),
    order=st.permutations(["a", "b", "c", "t"]),
    seeds=st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
def test_a_request_with_texts_is_cut_where_protobuf_finds_its_parts(
    ids: tuple[str, str], words: tuple[list[str], list[str]], order: list[str], seeds: tuple[int, int]
) -> None:
    first, second = (worded(id, one, order, seed) for id, one, seed in zip(ids, words, seeds, strict=True))
    shape = loose_of(first, len(words[0]))
    assert shape is not None
    parts = found_by(shape, second.SerializeToString())
    if parts is None:
        assert len(ids[1].encode()) > 127  # it is read the long way
        return
    assert shape.id_at is not None
    assert parts[shape.id_at] == ids[1].encode()
    raws = dict(zip(order, second.raw_input_contents, strict=True))
    assert [parts[at] for at in shape.at] == [raws[field.name] for field in WORDS]
    assert proto_known.texts(parts[shape.at[3]], len(words[1]), "t") == words[1]


@settings(max_examples=300)
@given(st.data())
def test_a_request_with_texts_and_a_byte_changed_is_of_the_shape_only_if_it_means_that(data: st.DataObject) -> None:
    made = worded("id", ["x", "yz"], ["a", "t", "b", "c"], 1)
    shape, whole = loose_of(made, 2), made.SerializeToString()
    assert shape is not None
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    parts = found_by(shape, changed)
    if parts is None or shape.id_at is None or not parts[shape.id_at].isascii():
        return
    meant = proto_infer.request(changed)
    raws = dict(zip(["a", "t", "b", "c"], meant.raw_input_contents, strict=True))
    assert [parts[place] for place in shape.at] == [raws[field.name] for field in WORDS]
    assert parts[shape.id_at].decode() == meant.id
    del meant.raw_input_contents[:], made.raw_input_contents[:]
    meant.id = made.id = ""
    assert meant.SerializeToString() == made.SerializeToString()


def test_an_id_that_comes_late_is_not_passed_over() -> None:
    whole = worded("", ["x"], ["a", "b", "c", "t"], 1).SerializeToString()
    late = whole + wire.piece(3, b"late")
    assert Loose.of(late, proto_infer.request(late), WORDS, 1) is None
    begin = whole.index(b"*")
    amid = whole[:begin] + wire.piece(3, b"one") + wire.piece(3, b"two") + whole[begin:]
    assert Loose.of(amid, proto_infer.request(amid), WORDS, 1) is None


@pytest.mark.parametrize("raw", [b"", b"\1\0\0", b"\5\0\0\0x", b"\1\0\0\0xy", b"\1\0\0\0\xff"])
def test_texts_that_are_none_are_refused(raw: bytes) -> None:
    with pytest.raises(BadInput):
        proto_known.texts(raw, 1, "input 't'")


def unusual() -> dict[str, Any]:
    found = {}
    for name in ("parameter", "output's parameter", "contents", "other datatype", "missing", "twice", "shared memory"):
        found[name] = made = asked(2, "", ["a", "b", "c"], ["y"], 1)
        if name == "parameter":
            made.parameters["priority"].int64_param = 1
        elif name == "output's parameter":
            made.outputs[0].parameters["classification"].int64_param = 1
        elif name == "contents":
            del made.raw_input_contents[:]
            made.inputs[1].contents.int64_contents.extend([1, 2])
        elif name == "other datatype":
            made.inputs[1].datatype = "INT32"
        elif name == "missing":
            del made.inputs[2], made.raw_input_contents[2]
        elif name == "twice":
            made.inputs[2].name = "a"
        else:
            made.inputs[2].parameters["shared_memory_region"].string_param = "r"
    return found


@pytest.mark.parametrize("name", unusual())
def test_what_is_unusual_about_a_request_is_never_passed_over(name: str) -> None:
    assert shape_of(unusual()[name]) is None


def test_a_second_id_or_a_field_that_nobody_knows_is_not_mistaken_for_the_first() -> None:
    whole = asked(1, "", ["a", "b", "c"], [], 1).SerializeToString()
    two = whole + wire.piece(3, b"x") + wire.piece(3, b"y")
    assert Shape.of(two, proto_infer.request(two), FIELDS, 1) is None
    odd = b"\x18\x05" + whole  # field 3 as a number: protobuf passes over it
    shape = Shape.of(odd, proto_infer.request(odd), FIELDS, 1)
    assert shape is not None
    assert shape.id_at is None


@given(
    counts=st.lists(st.integers(0, 4), min_size=1, max_size=5),
    ids=st.lists(st.sampled_from([b"", b"7", "é".encode()]), min_size=5, max_size=5),
    texts=st.lists(st.text(max_size=5), min_size=20, max_size=20),
)
def test_responses_are_what_protobuf_would_write(counts: list[int], ids: list[bytes], texts: list[str]) -> None:
    fields = [Field("p", Type.FLOAT32, (2,)), Field("50%", Type.TEXT)]
    p = [np.arange(2 * n, dtype=np.float32).tobytes() for n in counts]
    t = [b"".join(wire.varint(0) + text.encode() for text in texts[:n]) for n in counts]
    told = (("revision", 3), ("why", "50% of the traffic"), ("ok", True), ("share", 0.5))
    written = Responses("m", "3", fields).write([(8, p), (0, t)], counts, ids[: len(counts)], told)
    for n, id, one, other, data in zip(counts, ids, p, t, written, strict=False):
        read = service_pb2.ModelInferResponse.FromString(data)
        assert (read.model_name, read.model_version, read.id) == ("m", "3", id.decode())
        assert [(o.name, o.datatype, [*o.shape]) for o in read.outputs] == [
            ("p", "FP32", [n, 2]),
            ("50%", "BYTES", [n]),
        ]
        assert [*read.raw_output_contents] == [one, other]
        chosen = {name: getattr(v, v.WhichOneof("parameter_choice")) for name, v in read.parameters.items()}
        assert chosen == dict(told)


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    for read in (wire.fields, proto_infer.request):
        with suppress(BadInput):
            read(data)


def test_spoiled_requests_are_read_or_refused_and_nothing_else_happens() -> None:
    chance, refused = random.Random(3), 0
    for _ in range(10_000):
        whole = bytearray(asked(chance.randrange(4), "id", ["a", "b", "c"], ["y"], 1).SerializeToString())
        for _ in range(chance.randrange(1, 6)):
            whole[chance.randrange(len(whole))] = chance.randrange(256)
        try:
            request = proto_infer.request(bytes(whole))
            proto_infer.told(request)
            Shape.of(bytes(whole), request, FIELDS, 1)
        except BadInput:
            refused += 1
    assert refused


@given(st.integers(0, 2**63 - 1))
def test_a_number_is_written_as_it_is_read(value: int) -> None:
    assert wire.fields(b"\x08" + wire.varint(value)) == [(1, wire.VARINT, 1, 1 + len(wire.varint(value)))]
    read: Any = proto.message("inference.StatisticDuration").FromString(b"\x08" + wire.varint(value))
    assert read.count == value
