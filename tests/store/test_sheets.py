"""Facts about sheets of counts: what was counted stays, whoever dies, and is added up over all processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from payoff.store import sheets
from payoff.store.sheets import CELLS, LINES_MAX, OTHER, Sheet

COUNTING = """
import sys
from pathlib import Path
from payoff.store.sheets import Sheet
cells = Sheet(Path(sys.argv[1]), "0").line("calls", "fraud")
for number in range(10_000):
    cells[3] += 1
print("counted", flush=True)
sys.stdin.read()
"""


def test_what_was_counted_is_read_by_name_and_label(tmp_path: Path) -> None:
    sheet = Sheet(tmp_path, "0")
    sheet.line("calls", "fraud", "grpc")[CELLS - 1] += 7
    sheet.own[2] = 5
    found = sheets.read(tmp_path)
    assert found.lines["calls", "fraud", "grpc"][CELLS - 1] == 7
    assert found.own["0"][2] == 5


def test_the_sheets_of_all_processes_are_added_up(tmp_path: Path) -> None:
    for name, count in (("0", 2), ("1", 3)):
        Sheet(tmp_path, name).line("calls", "fraud")[0] += count
    assert sheets.read(tmp_path).lines["calls", "fraud"][0] == 5


def test_a_killed_process_leaves_all_that_it_counted_and_the_next_one_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-c", COUNTING, str(tmp_path)]
    for round_ in (1, 2, 3):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"counted\n"
            process.send_signal(signal.SIGKILL)
        assert sheets.read(tmp_path).lines["calls", "fraud"][3] == round_ * 10_000
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["metrics-0"]


def test_a_successor_that_comes_before_its_predecessor_left_counts_on_a_sheet_of_its_own(tmp_path: Path) -> None:
    before, after = Sheet(tmp_path, "0"), Sheet(tmp_path, "0")
    before.line("calls", "fraud")[0] += 1
    after.line("calls", "fraud")[0] += 1
    assert sheets.read(tmp_path).lines["calls", "fraud"][0] == 2


def test_a_thousand_labels_keep_their_own_cells(tmp_path: Path) -> None:
    sheet = Sheet(tmp_path, "0")
    for number in range(1_000):
        sheet.line("calls", f"endpoint-{number}")[1] += number
    del sheet
    again = Sheet(tmp_path, "0")
    assert [again.line("calls", f"endpoint-{number}")[1] for number in range(1_000)] == list(range(1_000))
    assert len(sheets.read(tmp_path).lines) == 1_000


def test_labels_beyond_the_limit_are_counted_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "LINES_MAX", 4)
    sheet = Sheet(tmp_path, "0")
    for number in range(10):
        sheet.line("calls", f"endpoint-{number}")[0] += 1
    found = sheets.read(tmp_path).lines
    assert len(found) == 5 < LINES_MAX
    assert found["calls", OTHER][0] == 6


def test_where_files_may_not_grow_a_process_counts_for_itself_and_says_so(tmp_path: Path) -> None:
    program = (
        "import resource, signal, sys; from pathlib import Path; from payoff.store.sheets import Sheet, read\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (8_192, 8_192))\n"
        "sheet = Sheet(Path(sys.argv[1]), '0'); cells = sheet.line('calls', 'fraud'); cells[0] += 1; print(cells[0])\n"
        "print(read(Path(sys.argv[1])).lines)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n{}\n"
    assert "counts stay in this process" in done.stderr


def test_a_file_that_is_no_sheet_is_left_out(tmp_path: Path) -> None:
    Sheet(tmp_path, "0").line("calls", "fraud")[0] += 1
    (tmp_path / "run" / "metrics-1").write_bytes(b"something else")
    (tmp_path / "run" / "metrics-2").write_bytes(os.urandom(40_000))
    assert list(sheets.read(tmp_path).own) == ["0"]


def test_a_sweep_begins_anew(tmp_path: Path) -> None:
    Sheet(tmp_path, "0").line("calls", "fraud")[0] += 1
    sheets.sweep(tmp_path)
    assert sheets.read(tmp_path) == sheets.Counts()
