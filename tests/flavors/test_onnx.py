"""ONNX models: what they take and give, and that they answer it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from onnx import TensorProto, external_data_helper, numpy_helper
from onnx.helper import (
    make_map_type_proto,
    make_node,
    make_opsetid,
    make_sequence_type_proto,
    make_tensor,
    make_tensor_sequence_value_info,
    make_tensor_type_proto,
    make_value_info,
)

from payoff.errors import BadInput, ModelFailed
from payoff.flavors.flavor import Prepared
from payoff.flavors.golden import check
from payoff.flavors.wire import check as check_file
from payoff.records.columns import Column
from payoff.records.signature import Field, Signature, Type
from tests.flavors.arrivals import loaded
from tests.flavors.arrivals import prepared as arrived
from tests.flavors.models import onnx_model, port, row_sums, save

ROWS = pa.table({"a": [1.0, 2.0], "b": [3, 4], "c": [True, False]})


def prepare(model: Any, folder: Path, sample: pa.Table | None = None) -> Prepared:
    return arrived(save(model, folder / "model.onnx"), sample)


def answers(prepared: Prepared, **columns: Any) -> dict[str, Any]:
    run = loaded(prepared).run
    types = {field.name: field.type.dtype for field in prepared.signature.inputs}
    given = {name: Column(np.array(values, types[name])) for name, values in columns.items()}
    return {name: column.values.tolist() for name, column in run(given).items()}


def test_one_matrix_and_a_sample_of_columns_takes_the_columns_by_name(tmp_path: Path) -> None:
    prepared = prepare(row_sums(), tmp_path, ROWS)
    assert prepared.signature == Signature(
        (Field("a", Type.FLOAT32), Field("b", Type.FLOAT32), Field("c", Type.BOOL)), (Field("total", Type.FLOAT32),)
    )
    assert answers(prepared, c=[True, True], a=[1, 10], b=[2, 20]) == {"total": [4.0, 31.0]}
    assert prepared.served_path == tmp_path / "model.onnx"
    assert prepared.golden_path is not None
    check(loaded(prepared).run, prepared.golden_path, prepared.signature)


def test_one_matrix_without_a_sample_takes_a_tensor(tmp_path: Path) -> None:
    prepared = prepare(row_sums(), tmp_path)
    assert prepared.signature.inputs == (Field("x", Type.FLOAT32, (3,)),)
    assert prepared.golden_path is None
    assert answers(prepared, x=[[1, 2, 3]]) == {"total": [6.0]}


def test_a_matrix_of_open_width_needs_a_sample(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"input 'x' of the model leaves its shape open \(\[\?\]\).*--sample FILE"):
        prepare(row_sums("k"), tmp_path)
    assert len(prepare(row_sums("k"), tmp_path, ROWS).signature.inputs) == 3


def test_lists_in_a_sample_fix_the_shape_of_a_tensor(tmp_path: Path) -> None:
    prepared = prepare(row_sums("k"), tmp_path, pa.table({"x": [[1.0, 2.0], [3.0, 4.0]], "id": [1, 2]}))
    assert prepared.signature.inputs == (Field("x", Type.FLOAT32, (2,)),)
    assert prepared.provenance["ignored sample columns"] == ["id"]


def test_a_sample_with_the_outcome_in_it_is_refused_by_its_width(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="takes 3 values per row, and the sample has 4 columns: a, b, c, y; leave out"):
        prepare(row_sums(), tmp_path, ROWS.append_column("y", pa.array([0, 1])))


def two_inputs(text: bool = True) -> Any:
    kind = TensorProto.STRING if text else TensorProto.INT64
    nodes = [make_node("Identity", ["word"], ["same"]), make_node("Neg", ["n"], ["minus"])]
    return onnx_model(
        [port("word", kind, (None, 1)), port("n", TensorProto.INT64, (None,))],
        [port("same", kind, (None, 1)), port("minus", TensorProto.INT64, (None,))],
        nodes,
    )


def test_several_inputs_take_the_columns_of_their_names(tmp_path: Path) -> None:
    prepared = prepare(two_inputs(), tmp_path)
    assert prepared.signature == Signature(
        (Field("word", Type.TEXT), Field("n", Type.INT64)), (Field("same", Type.TEXT), Field("minus", Type.INT64))
    )
    assert answers(prepared, n=[1, 2], word=["ü", "b"]) == {"same": ["ü", "b"], "minus": [-1, -2]}


def test_a_sample_that_lacks_an_input_is_told_which(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="takes the inputs word, n; the sample lacks n"):
        prepare(two_inputs(), tmp_path, pa.table({"word": ["a"], "m": [1]}))


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        pytest.param({"word": ["a"], "n": [1.5]}, "column 'n' of the sample, row 0: '1.5' is no int64", id="fraction"),
        pytest.param({"word": [1], "n": [1]}, "column 'word' of the sample, row 0: '1' is no text", id="number"),
        pytest.param({"word": ["a"], "n": ["x"]}, "column 'n' of the sample, row 0: 'x' is no int64", id="text"),
        pytest.param({"word": ["a", "b"], "n": [1, None]}, "column 'n' of the sample has nulls", id="null"),
    ],
)
def test_a_sample_that_does_not_fit_names_column_row_and_value(tmp_path: Path, sample: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        prepare(two_inputs(), tmp_path, pa.table(sample))


def test_a_null_is_nan_in_numbers_and_empty_in_text(tmp_path: Path) -> None:
    sample = pa.table({"a": [1.0, None], "b": [1.0, 2.0], "c": [0.0, 0.0]})
    prepared = prepare(row_sums(), tmp_path, sample)
    assert [field.nullable for field in prepared.signature.inputs] == [True, False, False]
    run = loaded(prepared).run
    one = Column(np.array([1.0], np.float32))
    null = Column(np.array([1.0], np.float32), np.array([False]))
    assert np.isnan(run({"a": null, "b": one, "c": one})["total"].values).all()
    words = prepare(two_inputs(), tmp_path, pa.table({"word": ["a", None], "n": [1, 2]}))
    run = loaded(words).run
    missing = Column(np.array(["secret"], object), np.array([False]))
    assert run({"word": missing, "n": Column(np.array([1]))})["same"].values.tolist() == [""]


def classifier(k: int, names: tuple[str, str] = ("output_label", "output_probability"), zipmap: bool = False) -> Any:
    """Answers class 0 always, and the probabilities 0.1, 0.2, ..."""
    scores = make_tensor("scores", TensorProto.FLOAT, [1, k], [0.1 * (place + 1) for place in range(k)])
    zero = make_tensor("zero", TensorProto.FLOAT, [1], [0.0])
    nodes = [
        make_node("ArgMin", ["x"], ["lowest"], axis=1, keepdims=0),
        make_node("Mul", ["lowest", "none"], [names[0]]),
        make_node("ReduceSum", ["x", "axes"], ["sums"], keepdims=1),
        make_node("Mul", ["sums", "zero"], ["nothing"]),
        make_node("Add", ["nothing", "scores"], ["raw" if zipmap else names[1]]),
    ]
    constants = [scores, zero, make_tensor("axes", TensorProto.INT64, [1], [1])]
    constants.append(make_tensor("none", TensorProto.INT64, [1], [0]))
    second = port(names[1], shape=(None, k))
    if zipmap:
        nodes.append(make_node("ZipMap", ["raw"], [names[1]], domain="ai.onnx.ml", classlabels_int64s=list(range(k))))
        kind = make_map_type_proto(TensorProto.INT64, make_tensor_type_proto(TensorProto.FLOAT, None))
        second = make_value_info(names[1], make_sequence_type_proto(kind))
    return onnx_model(
        [port("x", shape=(None, 3))], [port(names[0], TensorProto.INT64, (None,)), second], nodes, constants
    )


@pytest.mark.parametrize("zipmap", [False, True])
@pytest.mark.parametrize("names", [("output_label", "output_probability"), ("label", "probabilities")])
def test_a_classifier_of_two_classes_answers_label_and_probability(
    tmp_path: Path, names: tuple[str, str], zipmap: bool
) -> None:
    prepared = prepare(classifier(2, names, zipmap), tmp_path)
    assert prepared.signature.outputs == (Field("label", Type.INT64), Field("probability", Type.FLOAT32))
    got = answers(prepared, x=[[1, 2, 3], [4, 5, 6]])
    assert got == {"label": [0, 0], "probability": pytest.approx([0.2, 0.2])}


@pytest.mark.parametrize("zipmap", [False, True])
def test_a_classifier_of_more_classes_answers_all_probabilities(tmp_path: Path, zipmap: bool) -> None:
    prepared = prepare(classifier(3, zipmap=zipmap), tmp_path)
    assert prepared.signature.outputs == (Field("label", Type.INT64), Field("probabilities", Type.FLOAT32, (3,)))
    assert answers(prepared, x=[[1, 2, 3]])["probabilities"] == [pytest.approx([0.1, 0.2, 0.3])]


def test_a_graph_fixed_to_one_row_is_asked_row_by_row_and_to_more_is_refused(tmp_path: Path) -> None:
    prepared = prepare(row_sums(batch=1), tmp_path)
    assert answers(prepared, x=[[1, 2, 3], [4, 5, 6]]) == {"total": [6.0, 15.0]}
    with pytest.raises(ModelFailed, match="fixed to 4 rows per call; export it with a free first dimension"):
        prepare(row_sums(batch=4), tmp_path)


def test_no_rows_get_no_answers(tmp_path: Path) -> None:
    prepared = prepare(row_sums(), tmp_path)
    run = loaded(prepared).run
    got = run({"x": Column(np.empty((0, 3), np.float32))})
    assert got["total"].values.shape == (0,)
    assert got["total"].values.dtype == np.float32


def test_a_model_that_answers_for_fewer_rows_fails(tmp_path: Path) -> None:
    total = make_node("ReduceSum", ["x", "axes"], ["total"], keepdims=1)
    axes = make_tensor("axes", TensorProto.INT64, [2], [0, 1])
    model = onnx_model([port("x", shape=(None, 3))], [port("total", shape=("r", 1))], [total], [axes])
    with pytest.raises(ModelFailed, match="got 2 rows and answered 1 rows in 'total'; it must answer row by row"):
        prepare(model, tmp_path)


def test_a_call_that_the_graph_refuses_fails_with_its_reason(tmp_path: Path) -> None:
    prepared = prepare(row_sums(), tmp_path)
    run = loaded(prepared).run
    with pytest.raises(ModelFailed, match=r"failed on a call: .*Got: 2 Expected: 3"):
        run({"x": Column(np.zeros((1, 2), np.float32))})


def test_a_model_under_the_signature_of_another_is_refused(tmp_path: Path) -> None:
    prepared = prepare(two_inputs(), tmp_path)
    inputs = (Field("word", Type.TEXT), Field("k", Type.INT64))
    with pytest.raises(ModelFailed, match="graph takes word, n, and the signature has word, k"):
        loaded(replace(prepared, signature=Signature(inputs, prepared.signature.outputs)))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9, 0.99])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    whole = row_sums().SerializeToString()
    path = tmp_path / "cut.onnx"
    path.write_bytes(whole[: max(4, int(len(whole) * share))])
    with pytest.raises(BadInput, match=r"cut.onnx begins like an ONNX model but .*export or copy it again"):
        arrived(path, flavor="onnx")


def scaled(folder: Path, location: str = "weights.bin") -> Path:
    """Each row times (1, 2, 3), with these numbers in a file beside the model."""
    by = numpy_helper.from_array(np.array([1, 2, 3], np.float32), "by")
    shape = (None, 3)
    model = onnx_model([port("x", shape=shape)], [port("y", shape=shape)], [make_node("Mul", ["x", "by"], ["y"])], [by])
    external_data_helper.set_external_data(model.graph.initializer[0], location=location)
    model.graph.initializer[0].ClearField("raw_data")
    folder.mkdir(exist_ok=True)
    (folder / "weights.bin").write_bytes(np.array([1, 2, 3], np.float32).tobytes())
    return save(model, folder / "model.onnx")


def test_weights_in_other_files_come_as_a_folder(tmp_path: Path) -> None:
    folder = scaled(tmp_path / "scaled").parent
    (folder / "README.md").write_text("by hand")
    prepared = arrived(folder, {"x": [[1.0, 1.0, 1.0], [2.0, 0.0, 1.0]]})
    assert prepared.served_path == folder
    assert prepared.golden_path is not None
    assert answers(prepared, x=[[1, 1, 1]]) == {"y": [[1.0, 2.0, 3.0]]}
    check(loaded(prepared).run, prepared.golden_path, prepared.signature)


def test_a_lone_file_with_weights_elsewhere_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"external data: weights.bin\); deploy the folder.*save_as_external_data=False"):
        arrived(scaled(tmp_path / "scaled"))


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "a\\b", "..", "", "sub/../../weights.bin"])
def test_weights_outside_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    (tmp_path / "weights.bin").write_bytes(b"secret")
    with pytest.raises(BadInput, match="which is not inside the folder; save it again"):
        arrived(scaled(tmp_path / "scaled", location).parent)


def test_weights_that_are_missing_or_a_link_out_are_refused(tmp_path: Path) -> None:
    folder = scaled(tmp_path / "scaled").parent
    (folder / "weights.bin").rename(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match=r"keeps weights in weights.bin, which is not in the folder; put it there"):
        arrived(folder)
    (folder / "weights.bin").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match=r"weights.bin is a link that leads out of the folder; copy the file in"):
        arrived(folder)


def test_a_folder_with_two_models_is_none(tmp_path: Path) -> None:
    save(row_sums(), scaled(tmp_path / "scaled").with_name("other.onnx"))
    with pytest.raises(BadInput, match=r"holds no model payoff knows.*here are model.onnx, other.onnx, weights.bin"):
        arrived(tmp_path / "scaled")


def test_the_word_location_alone_is_no_external_data(tmp_path: Path) -> None:
    model = row_sums()
    model.graph.doc_string = "location"
    check_file(save(model, tmp_path / "m.onnx"))


def test_an_operator_of_strangers_is_refused_with_the_way_out(tmp_path: Path) -> None:
    odd = make_node("Magic", ["x"], ["y"], domain="com.stranger")
    model = onnx_model([port("x")], [port("y")], [odd])
    model.opset_import.append(make_opsetid("com.stranger", 1))
    with pytest.raises(ModelFailed, match="payoff loads no custom operators"):
        prepare(model, tmp_path)


def test_inputs_of_a_kind_that_no_column_has_are_refused(tmp_path: Path) -> None:
    many = make_tensor_sequence_value_info("x", TensorProto.FLOAT, None)
    model = onnx_model([many], [port("n", TensorProto.INT64, ())], [make_node("SequenceLength", ["x"], ["n"])])
    with pytest.raises(
        BadInput, match=r"input 'x' of the model is a seq\(tensor\(float\)\); columns can be tensors of"
    ):
        prepare(model, tmp_path)


def test_an_input_without_rows_is_refused(tmp_path: Path) -> None:
    model = onnx_model([port("x", shape=())], [port("y", shape=())], [make_node("Neg", ["x"], ["y"])])
    with pytest.raises(BadInput, match=r"input 'x' of the model has no dimension for rows; export it with shape"):
        prepare(model, tmp_path)


def test_half_floats_are_floats_to_callers(tmp_path: Path) -> None:
    half = TensorProto.FLOAT16
    model = onnx_model([port("x", half)], [port("y", half)], [make_node("Neg", ["x"], ["y"])])
    prepared = prepare(model, tmp_path)
    assert prepared.signature.outputs == (Field("y", Type.FLOAT32),)
    assert answers(prepared, x=[1.5]) == {"y": [-1.5]}


def test_the_sample_of_a_model_that_no_longer_answers_alike_stops_it(tmp_path: Path) -> None:
    prepared = prepare(row_sums(), tmp_path, ROWS)
    assert prepared.golden_path is not None
    run = loaded(prepared).run

    def off(columns: Any) -> dict[str, Column]:
        return {"total": Column(run(columns)["total"].values + np.array([0, 0.5], np.float32))}

    with pytest.raises(ModelFailed) as caught:
        check(off, prepared.golden_path, prepared.signature)
    assert "does not reproduce 1 of its 2 sample rows (a number may be off by 0.0001 + 0.0001 of" in str(caught.value)
    assert "1    total   6         6.5  0.5" in str(caught.value)


def test_a_matrix_of_text_takes_columns_of_text(tmp_path: Path) -> None:
    text = TensorProto.STRING
    same = make_node("Identity", ["x"], ["y"])
    model = onnx_model([port("x", text, (None, 2))], [port("y", text, (None, 2))], [same])
    prepared = prepare(model, tmp_path, pa.table({"a": ["1", "2", "3"], "b": ["x", "y", "z"]}))
    assert prepared.signature.inputs == (Field("a", Type.TEXT), Field("b", Type.TEXT))
    assert answers(prepared, a=["1", "2"], b=["x", "y"]) == {"y": [["1", "x"], ["2", "y"]]}
