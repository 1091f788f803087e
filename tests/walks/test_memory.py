"""A worker's memory does not grow with the revisions that it has served."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from payoff.records import Arm, Field, Policy, Revision, Role, Served, Signature, Type
from payoff.store import live
from payoff.store.blobs import Blobs
from tests.gateway.test_worker import worker
from tests.shared import until
from tests.walks.wire import Door

WIDE = Signature(tuple(Field(f"x{place}", Type.FLOAT32) for place in range(150)), (Field("y", Type.FLOAT32),))
GROWN_MB_MAX = 12.0  # by 150 swaps; it was 50 and more while each left something behind


def wide(factor: int) -> bytes:
    """An ONNX model of 150 inputs; `y` is so many times their sum."""
    names = [field.name for field in WIDE.inputs]
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in names]
    back = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])]
    graph = helper.make_graph([helper.make_node("Sum", names * factor, ["y"])], "wide", given, back)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def swap(home: Path, number: int) -> None:
    """Another champion and rule; every tenth time there is a new version. The one before is killed, and watches."""
    blobs, newest = Blobs(home / "artifacts"), 1 + number // 10
    arms = tuple(
        Arm(f"wide-{version}", role, "wide", version, Served("onnx", blobs.put(wide(version)), WIDE), was=Role.CHAMPION)
        for version, role in ((newest, Role.CHAMPION), (newest + 1, Role.KILLED))
    )
    policy = Policy(decision=f"outputs.y > {number}", fallback={"decision": False})
    live.publish(home, Revision("wide", number, 0, "me", "", arms, policy))


@contextmanager
def load(at: Door) -> Iterator[None]:
    """More calls than the worker can answer, so that it has never done: in two formats, from one row to many."""
    over = threading.Event()
    rows = [{field.name: 0.5 for field in WIDE.inputs}] * 60
    columns = {"inputs": [{"name": f.name, "datatype": "FP32", "shape": [60], "data": [0.5] * 60} for f in WIDE.inputs]}
    asked = [
        at.call(json.dumps(rows).encode(), path="/predict/wide"),
        at.call(json.dumps(rows[0]).encode(), path="/predict/wide"),
        at.call(json.dumps(columns).encode(), path="/v2/models/wide/infer"),
    ]
    failed: list[BaseException] = []

    def call() -> None:
        try:
            with at.line() as line:
                while not over.is_set():
                    assert {said.status for said in line.ask(b"".join(asked * 2), 6)} == {200}
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    yield
    over.set()
    for thread in threads:
        thread.join()
    assert not failed


@pytest.mark.slow
def test_a_worker_that_swaps_under_full_load_is_as_large_after_250_swaps_as_after_100(
    tmp_path: Path,
) -> None:
    swap(tmp_path, 1)
    with worker(tmp_path) as url:
        at = Door(tmp_path, int(url.rpartition(":")[2]))
        serving(at, 1)
        with load(at):
            for number in range(2, 101):
                swap(tmp_path, number)
                serving(at, number)
            before = least_mb(at)
            for number in range(101, 251):
                swap(tmp_path, number)
                serving(at, number)
            grown = least_mb(at) - before
    assert grown < GROWN_MB_MAX


def serving(at: Door, number: int) -> None:
    """Wait until the worker answers as this revision."""
    until(
        lambda: any(status.serving.get("wide") == number for status in live.statuses(at.home)),
        f"the worker serves revision {number}",
    )


def least_mb(at: Door) -> float:
    """Of some seconds: what is under way comes and goes."""
    found = []
    for _ in range(15):
        found.append(at.memory_mb)
        time.sleep(0.2)
    return min(found)
