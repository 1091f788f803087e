"""Facts about the dashboard's shape; that its metrics exist is in tests/gateway/test_metrics.py."""

import json
import subprocess
import sys

from payoff.cli.dashboard import made


def test_the_command_prints_what_grafana_imports() -> None:
    done = subprocess.run([sys.executable, "-m", "payoff.cli.main", "dashboard"], capture_output=True, check=True)
    assert json.loads(done.stdout) == made()


def test_no_graph_covers_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in made()["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_every_graph_has_an_id_of_its_own_and_queries_with_legends() -> None:
    panels = made()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        for target in panel.get("targets", []):
            assert target["expr"].count("(") == target["expr"].count(")")
            assert target["legendFormat"]
