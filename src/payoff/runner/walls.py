"""Which walls this machine can put up around a model's process: found by putting them up around an empty one."""

import json
import os
import subprocess
import sys
import tempfile

from payoff.runner.process import START


def walls() -> dict[str, str]:
    """Each wall with why it does not stand here, or "" if it does; what `payoff doctor` shows."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603 - our own script, no shell
            [sys.executable, "-I", "-S", str(START), "--walls"],
            cwd=folder,
            env={"PATH": os.defpath},
            capture_output=True,
            timeout=30,
            check=True,
        )
    told: dict[str, str] = json.loads(done.stdout)
    return told
