"""Rules, compared with the same written in Python."""

from tests.kinds.case import Case

CASES = [
    Case(
        name="rule",
        artefact="seniors.yaml",
        flavor="rule",
        served="rule",
        script="""
import json

rows = [{"age": 20 + n, "balance": 90.5 * n, "job": ["admin", None][n % 2]} for n in range(60)]
with open("seniors.yaml", "w") as file:
    file.write('''
outputs:
  probability: case when inputs.age > 60 and inputs.balance > 2000 then 0.9 else inputs.age / 1000 end
  label: coalesce(job, 'unknown')
''')
json.dump(rows, open("sample.json", "w"))
expected = {
    "probability": [0.9 if r["age"] > 60 and r["balance"] > 2000 else r["age"] / 1000 for r in rows],
    "label": [r["job"] or "unknown" for r in rows],
}
json.dump(expected, open("expected.json", "w"))
""",
    )
]
