"""A signature as Triton's ModelConfig says it (triton-inference-server/common, model_config.proto), in its JSON form.

Tools ask for it to learn how large a batch may be and what an input is; what payoff does not have keeps its default.
"""

from collections.abc import Sequence
from typing import Any

from payoff.codecs.tensors import DATATYPES
from payoff.records.signature import Field, Signature


def config(name: str, signature: Signature, rows_max: int) -> dict[str, Any]:
    """How an endpoint is asked: calls of up to `rows_max` rows, which are batched as they come."""
    return {
        "name": name,
        "platform": "payoff",
        "backend": "payoff",
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": rows_max,
        "input": [
            _tensor(field, plain=[1])
            | {
                "format": "FORMAT_NONE",
                "is_shape_tensor": False,
                "allow_ragged_batch": False,
                "optional": field.nullable,
            }
            for field in signature.inputs
        ],
        "output": [_tensor(field) | {"label_filename": "", "is_shape_tensor": False} for field in signature.outputs],
        "batch_input": [],
        "batch_output": [],
        "dynamic_batching": {
            "preferred_batch_size": [],
            "max_queue_delay_microseconds": 0,
            "preserve_ordering": False,
            "priority_levels": 0,
        },
        "instance_group": [],
        "default_model_filename": "",
        "parameters": {},
        "model_warmup": [],
        "model_transaction_policy": {"decoupled": False},
    }


def _tensor(field: Field, plain: Sequence[int] = ()) -> dict[str, Any]:
    """Its dims are those of a row, `plain` where that is no tensor: as in the metadata."""
    datatype = DATATYPES[field.type]
    return {
        "name": field.name,
        "data_type": "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}",
        "dims": [*(field.shape or plain)],
    }
