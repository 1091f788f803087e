"""What /proc tells of processes, and nvidia-smi of GPUs."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from payoff.monitor import gpus, machine

PMON = """# gpu         pid   type     sm    mem    enc    dec    jpg    ofa    command
# Idx           #    C/G      %      %      %      %      %      %    name
    0       1001     C     45     20      -      -      -      -    python
    1       1001     C     10      2      -      -      -      -    python
    0       1002     C      -      -      -      -      -      -    python
    1          -     -      -      -      -      -      -      -    -
"""


def test_a_process_holds_what_it_wrote_to_and_the_tree_has_its_children() -> None:
    before = machine.held_bytes([os.getpid()])[os.getpid()]
    block = np.ones(8 << 20)
    assert machine.held_bytes([os.getpid()])[os.getpid()] - before > 0.9 * block.nbytes
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        tree = machine.tree(os.getpid())
        assert tree[child.pid].parent == os.getpid()
        assert list(machine.above(child.pid, tree)) == [child.pid, os.getpid()]
        assert machine.age_us(tree[child.pid]) < machine.age_us(tree[os.getpid()])
    finally:
        child.communicate(b"\n")


def test_memory_is_asked_anew_where_it_moved_and_when_a_process_came() -> None:
    memory, me = machine.Memory(), os.getpid()
    alone = {me: machine.tree(me)[me]}
    before = memory.look(alone)[me]
    block = np.ones(8 << 20)
    grown = memory.look(alone)[me]
    assert grown - before > 0.9 * block.nbytes
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert set(memory.look(machine.tree(me))) >= {me, child.pid}  # others may have left processes of theirs
    finally:
        child.communicate(b"\n")
    assert set(memory.look(alone)) == {me}


def test_what_moved() -> None:
    assert machine.moved(1 << 30, (1 << 30) + (20 << 20))
    assert not machine.moved(1 << 30, (1 << 30) + (5 << 20))
    assert not machine.moved(1 << 20, 1 << 10)
    assert machine.moved(4 << 20, 1 << 20)


def test_what_an_ended_child_has_computed_stays_counted() -> None:
    before = machine.tree(os.getpid())[os.getpid()].cpu_ns
    work = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", work], check=True)
    assert machine.tree(os.getpid())[os.getpid()].cpu_ns - before >= 200_000_000  # told in ticks, cut off


def test_a_process_that_is_gone_has_no_tree_and_holds_nothing() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert machine.tree(child.pid) == {}
    assert machine.held_bytes([child.pid]) == {child.pid: 0}


def test_a_cgroup_that_is_given_less_is_the_machine(tmp_path: Path) -> None:
    assert machine.millicores(tmp_path) == 1_000 * (os.cpu_count() or 1)
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text("1048576\n")
    assert (machine.millicores(tmp_path), machine.memory_bytes(tmp_path)) == (500, 1 << 20)
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.memory_bytes(tmp_path) > 1 << 20


def test_parts_of_gpus_add_up_by_process_and_a_dash_is_nothing() -> None:
    assert gpus.parts(PMON) == {1001: 550_000}
    assert gpus.parts("") == {}
