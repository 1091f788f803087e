"""Scans an artefact in a process of its own: what is made to lead a scanner astray leads no more than this one."""

from payoff.flavors import scan_names
from payoff.flavors.apart import Job, Report
from payoff.flavors.inside import main
from payoff.flavors.scan_files import scan_path
from payoff.flavors.scan_opcodes import Found, Unreadable

NAMES_MAX = 5_000


def work(job: Job) -> Report:
    """What is in the file or folder, as a report's provenance."""
    found = Found()
    try:
        scan_path(job.path, found)
    except Unreadable as error:
        return Report(provenance={"unreadable": str(error)})
    return Report(provenance=told(found))


def told(found: Found) -> dict[str, object]:
    """The findings in words and names."""
    bad = [f"{module}.{name}" for module, name in scan_names.refused(found.names)]
    versions = dict(found.versions)
    if any(module.startswith("numpy._core") for module, _ in found.names):
        versions["numpy"] = ">=2"
    elif any(module.startswith("numpy.core") for module, _ in found.names):
        versions["numpy"] = "<2"
    return {
        "dangerous": [*bad, *found.dangerous][:100],
        "globals": sorted({f"{module}.{name}" for module, name in found.names} | found.imports)[:NAMES_MAX],
        "versions": versions,
        "code": found.code,
    }


if __name__ == "__main__":
    main(work)
