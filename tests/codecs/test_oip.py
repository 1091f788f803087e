"""The Open Inference Protocol, with the client that most callers use."""

import json
from typing import Any

import numpy as np
import orjson
import pytest
import tritonclient.http as triton
from tritonclient.utils import np_to_triton_dtype

from payoff.codecs import oip, oip_reply, schema
from payoff.codecs.oip_output import Wish
from payoff.codecs.places import Place
from payoff.errors import BadInput
from payoff.records import Column, Field, Signature, Type

FIELDS = (
    Field("x", Type.FLOAT32, (3,)),
    Field("n", Type.INT64),
    Field("t", Type.TEXT),
    Field("b", Type.BOOL),
    Field("d", Type.DATE, nullable=True),
)
DATA: dict[str, Any] = {
    "x": np.array([[1.5, 2, 3], [4, 5, 6]], np.float32),
    "n": np.array([2**62, -1], np.int64),
    "t": np.array(["é\x00", ""], object),
    "b": np.array([True, False]),
}


def asked(data: dict[str, Any], binary: bool, outputs: Any = None, **more: Any) -> tuple[bytes, int | None]:
    """What the client would send."""
    inputs = []
    for name, values in data.items():
        tensor = triton.InferInput(name, list(values.shape), triton_type(values))
        tensor.set_data_from_numpy(values, binary_data=binary)
        inputs.append(tensor)
    body, length = triton.InferenceServerClient.generate_request_body(inputs, outputs=outputs, **more)
    return bytes(body), length


def triton_type(values: Any) -> str:
    return str(np_to_triton_dtype(values.dtype))


@pytest.mark.parametrize("binary", [True, False])
def test_the_client_is_understood(binary: bool) -> None:
    body, length = asked(DATA, binary, request_id="r-1", parameters={"customer": "c"})
    assert (length is not None) is binary
    request = oip.decode(body, FIELDS, length)
    assert (request.id, request.outputs, request.binary) == ("r-1", None, "all")
    assert request.parameters["customer"] == "c"
    for name, values in DATA.items():
        assert request.columns[name].values.dtype == values.dtype
        np.testing.assert_array_equal(request.columns[name].values, values)
    valid = request.columns["d"].valid
    assert valid is not None
    assert valid.tolist() == [False, False]


@pytest.mark.parametrize("dtype", [*(kind.value for kind in Type if kind.is_number), "float16"])
@pytest.mark.parametrize("binary", [True, False])
def test_every_number_datatype_goes_to_every_number_field(dtype: str, binary: bool) -> None:
    body, length = asked({"x": np.array([[0], [100]], dtype)}, binary)
    for kind in (kind for kind in Type if kind.is_number):
        column = oip.decode(body, [Field("x", kind)], length).columns["x"]
        assert column.values.dtype == kind.dtype
        assert column.values.tolist() == [0, 100]


def test_the_client_understands_the_answer() -> None:
    fields = (*FIELDS[:4], Field("when", Type.TIMESTAMP), Field("d", Type.DATE))
    days = np.array(["2008-05-05", "9999-12-31"], "M8[D]")
    columns = {name: Column(values) for name, values in DATA.items()}
    columns |= {"d": Column(days), "when": Column(days.astype("M8[us]"))}
    for outputs in (None, [triton.InferRequestedOutput(f.name, binary_data=f.name in "xt") for f in fields]):
        body, length = asked({"n": DATA["n"]}, binary=True, outputs=outputs)
        request = oip.decode(body, [Field("n", Type.INT64)], length)
        reply, header_length = oip_reply.reply(request, "m", "3", columns, fields, {"arm": "champion"}, "id-7")
        result = triton.InferenceServerClient.parse_response_body(reply, header_length=header_length)
        said = result.get_response()
        assert (said["model_name"], said["model_version"], said["id"]) == ("m", "3", "id-7")
        assert said["parameters"] == {"arm": "champion"}
        np.testing.assert_array_equal(result.as_numpy("x"), DATA["x"])
        np.testing.assert_array_equal(result.as_numpy("n"), DATA["n"])
        np.testing.assert_array_equal(result.as_numpy("b"), DATA["b"])
        assert [text(value) for value in result.as_numpy("t")] == DATA["t"].tolist()
        assert [text(value) for value in result.as_numpy("d")] == ["2008-05-05", "9999-12-31"]
        assert [text(value) for value in result.as_numpy("when")] == ["2008-05-05T00:00:00Z", "9999-12-31T00:00:00Z"]


def text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value


def test_only_the_outputs_asked_for_come_in_the_order_asked() -> None:
    fields = (Field("a", Type.INT8), Field("b", Type.INT8))
    columns = {field.name: Column(np.zeros(1, np.int8)) for field in fields}
    said = {"inputs": [], "outputs": [{"name": "b"}, {"name": "a"}]}
    body, _ = oip_reply.reply(oip.decode(orjson.dumps(said), ()), "m", "1", columns, fields)
    assert [output["name"] for output in orjson.loads(body)["outputs"]] == ["b", "a"]
    with pytest.raises(BadInput, match="unknown output 'c'; there are: a, b"):
        oip_reply.pick(oip.decode(b'{"inputs": [], "outputs": [{"name": "c"}]}', ()), fields)


def test_what_raw_bytes_cannot_say_comes_as_json() -> None:
    fields = (Field("p", Type.FLOAT32, nullable=True), Field("version", Type.INT64, nullable=True))
    valid = np.array([True, False])
    columns = {"p": Column(np.ones(2, np.float32), valid), "version": Column(np.ones(2, np.int64), valid)}
    body, length = oip_reply.reply(oip.Request(None, {}, None, {}, "all"), "m", "1", columns, fields)
    result = triton.InferenceServerClient.parse_response_body(body, header_length=length)
    np.testing.assert_array_equal(result.as_numpy("p"), np.array([1, np.nan], np.float32))
    assert result.get_output("version")["data"] == [1, None]


def tensor(**changed: Any) -> dict[str, Any]:
    return {"name": "n", "shape": [2], "datatype": "INT64", "data": [1, 2]} | changed


@pytest.mark.parametrize("data", [[1, 2], [[1], [2]], [1.0, 2.0]], ids=["flat", "nested", "whole floats"])
def test_a_plain_field_takes_one_value_per_row(data: Any) -> None:
    for shape in ([2], [2, 1]):
        body = json.dumps({"inputs": [tensor(shape=shape, data=data)]}).encode()
        assert oip.decode(body, [Field("n", Type.INT64)]).columns["n"].values.tolist() == [1, 2]


@pytest.mark.parametrize("data", [[1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 5, 6.0]]])
def test_a_tensor_is_flat_or_nested(data: Any) -> None:
    body = json.dumps({"inputs": [tensor(shape=[2, 3], data=data)]}).encode()
    assert oip.decode(body, [Field("n", Type.INT64, (3,))]).columns["n"].values.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ([], "body is \\[\\]; expected an object with inputs"),
        ({}, "inputs is None; expected a list"),
        ({"inputs": []}, r"missing input 'n'; expected int64"),
        ({"inputs": [tensor(name="m")]}, "unknown input 'm'; there are: n"),
        ({"inputs": [tensor(), tensor()]}, "input 'n' comes twice"),
        ({"inputs": [tensor(shape=[2, 2])]}, r"input 'n' has the shape \[2, 2\]; expected \[n\] for n rows"),
        ({"inputs": [tensor(shape=[3])]}, "input 'n' has 2 elements; its shape needs 3"),
        ({"inputs": [tensor(shape=[-1])]}, "has the shape"),
        ({"inputs": [tensor(datatype="BYTES")]}, "has the datatype 'BYTES'; int64 takes INT8"),
        ({"inputs": [tensor(datatype="FP8")]}, "has the datatype 'FP8'"),
        ({"inputs": [tensor(data=[1, 2.5])]}, "column 'n', row 1 .*got 2.5; expected int64"),
        ({"inputs": [tensor(data=[1, None])]}, "column 'n', row 1 .*got null; expected int64"),
        ({"inputs": [tensor(data=[1, True])]}, "column 'n', row 1 .*got True"),
        ({"inputs": [tensor(data="ab")]}, "has the data 'ab'; expected a list"),
        ({"inputs": [tensor(parameters={"shared_memory_region": "r"})]}, "input 'n' lies in region 'r', None bytes"),
        (
            {"inputs": [tensor(parameters={"shared_memory_region": "r", "shared_memory_byte_size": 16})]},
            "shared memory is not read here",
        ),
        ({"inputs": [tensor(parameters=[1])]}, r"input 'n' has the parameters \[1\]; expected an object"),
        ({"inputs": [tensor(parameters={"binary_data_size": 16})]}, "Inference-Header-Content-Length is missing"),
        (
            {"inputs": [tensor()], "outputs": [{"name": "y", "parameters": {"classification": 0}}]},
            "output 'y': classification is 0; expected how many classes",
        ),
        ({"inputs": [tensor()], "id": 7}, "id is 7; expected text"),
    ],
)
def test_a_wrong_request_is_answered_with_what_would_be_right(said: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        oip.decode(json.dumps(said).encode(), [Field("n", Type.INT64)])


def test_an_input_may_lie_in_shared_memory() -> None:
    fetched: list[Place] = []

    def fetch(place: Place) -> bytes:
        fetched.append(place)
        return np.array([5, 6], np.int64).tobytes()

    about = {"shared_memory_region": "r", "shared_memory_byte_size": 16, "shared_memory_offset": 8}
    reader = oip.Oip((Field("n", Type.INT64),))
    request = reader.ask(json.dumps({"inputs": [tensor(data=None, parameters=about)]}).encode(), None, fetch)
    assert reader.columns([request])["n"].values.tolist() == [5, 6]
    assert fetched == [Place("r", 8, 16)]


def test_outputs_may_be_wanted_as_classes_and_in_shared_memory() -> None:
    about = {"shared_memory_region": "r", "shared_memory_byte_size": 16, "binary_data": True}
    outputs = [{"name": "p", "parameters": {"classification": 3}}, {"name": "y", "parameters": about}, {"name": "z"}]
    request = oip.decode(json.dumps({"inputs": [], "outputs": outputs}).encode(), ())
    assert request.outputs == ("p", "y", "z")
    assert request.wishes == {"p": Wish(3, None), "y": Wish(None, Place("r", 0, 16))}
    assert oip.decode(json.dumps({"inputs": [], "outputs": outputs[2:]}).encode(), ()).wishes is None


def test_nothing_may_be_sent_as_raw_bytes_of_no_length() -> None:
    said = tensor(shape=[0], data=None, parameters={"binary_data_size": 0})
    assert len(oip.decode(json.dumps({"inputs": [said]}).encode(), [Field("n", Type.INT64)]).columns["n"]) == 0


def test_inputs_have_as_many_rows_as_each_other() -> None:
    body = json.dumps({"inputs": [tensor(), tensor(name="m", shape=[1], data=[1])]}).encode()
    with pytest.raises(BadInput, match="input 'n' has 2 rows and input 'm' has 1"):
        oip.decode(body, [Field("n", Type.INT64), Field("m", Type.INT64)])


@pytest.mark.parametrize(
    ("kind", "datatype", "raw", "says"),
    [
        (Type.INT64, "INT64", b"1234", "input 'x' has 4 bytes; its shape and INT64 need 8"),
        (Type.UINT8, "INT64", (300).to_bytes(8, "little"), "column 'x', row 0 .*got 300; expected uint8"),
        (Type.INT64, "FP64", np.float64(0.5).tobytes(), "column 'x', row 0 .*got 0.5"),
        (Type.FLOAT64, "FP64", np.float64(np.nan).tobytes(), "column 'x', row 0 .*got nan, a missing value"),
        (Type.TEXT, "BYTES", b"\x05\0\0\0abc", "input 'x' ends inside element 0"),
        (Type.TEXT, "BYTES", b"\x01\0\0\0\xff", "not UTF-8"),
        (Type.TEXT, "BYTES", b"\0\0\0\0" * 2, "input 'x' has 2 elements; its shape needs 1"),
        (Type.DATE, "BYTES", b"\x03\0\0\0May", "column 'x', row 0 .*got 'May'"),
    ],
)
def test_wrong_raw_bytes_are_refused(kind: Type, datatype: str, raw: bytes, says: str) -> None:
    said = {"name": "x", "shape": [1], "datatype": datatype, "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [said]}).encode()
    with pytest.raises(BadInput, match=says):
        oip.decode(head + raw, [Field("x", kind)], len(head))
    with pytest.raises(BadInput, match="ends after byte"):
        oip.decode(head + raw[:-1], [Field("x", kind)], len(head))
    with pytest.raises(BadInput, match="Inference-Header-Content-Length is 9999"):
        oip.decode(head + raw, [Field("x", kind)], 9999)


def test_bytes_that_no_input_claims_are_refused() -> None:
    head = json.dumps({"inputs": [tensor(parameters={"binary_data_size": 16})]}).encode()
    with pytest.raises(BadInput, match="the inputs use 16 bytes of binary data; the body has 17"):
        oip.decode(head + bytes(17), [Field("n", Type.INT64)], len(head))


def test_metadata_names_the_tensors() -> None:
    said = schema.metadata("m", ["3"], Signature(FIELDS, FIELDS[:1]))
    assert said["inputs"][0] == {"name": "x", "datatype": "FP32", "shape": [-1, 3]}
    assert said["inputs"][1] == {"name": "n", "datatype": "INT64", "shape": [-1, 1]}
    assert [tensor["datatype"] for tensor in said["inputs"]] == ["FP32", "INT64", "BYTES", "BOOL", "BYTES"]
    assert said["outputs"] == said["inputs"][:1]
