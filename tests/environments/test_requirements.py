"""Requirements as people write them, and the ways out of those that a server cannot follow."""

import pytest

from payoff.environments.eras import bounds, exact
from payoff.environments.requirements import checked, of_project, package
from payoff.errors import BadInput

AS_WRITTEN = """\
# what the model needs
pandas==2.3.1   # rows
scikit-learn[plotting] >=1.5, <1.6
numpy ; python_version >= "3.9"

xgboost==3.2.0 \\
    --hash=sha256:0000 \\
    --hash=sha256:1111
our-features @ https://example.org/our_features-1.0-py3-none-any.whl#sha256=00
other @ git+https://example.org/other.git@v1.0
"""


def test_lines_are_read_as_pip_reads_them() -> None:
    assert checked(AS_WRITTEN.splitlines()) == (
        "pandas==2.3.1",
        "scikit-learn[plotting] >=1.5, <1.6",
        'numpy ; python_version >= "3.9"',
        "xgboost==3.2.0",
        "our-features @ https://example.org/our_features-1.0-py3-none-any.whl#sha256=00",
        "other @ git+https://example.org/other.git@v1.0",
    )


@pytest.mark.parametrize(
    ("line", "way_out"),
    [
        ("-r base.txt", "put the lines of that file in its place"),
        ("--requirement=base.txt", "put the lines of that file in its place"),
        ("-c bounds.txt", "put its versions into the requirements themselves"),
        ("-e .", "build a wheel of it"),
        ("--extra-index-url https://example.org/simple", "pip.conf"),
        ("-i https://example.org/simple", "pip.conf"),
        ("--pre", "leave it out"),
        ("./our.whl", "a place on a disk"),
        ("our-1.0-py3-none-any.whl", "a place on a disk"),
        ("our @ file:///tmp/our.whl", "https://"),
        ("our @ http://example.org/our.whl", "begins with https://"),
        ("our @ https://example.org/${UV_INDEX_URL}/our.whl", "a variable"),
        ("git+ssh://git@example.org/our.git", "leave it out"),
        ("https://example.org/our.whl", "does not say which package it is; write NAME @"),
        ("our @ https://user:word@example.org/our.whl", r"\.netrc"),
        ("numpy=1.26.4", "for pip it is 'numpy==1.26.4'"),
        ("numpy=1.26.4=py311_0", "written as for conda"),
        ("x" * 3_000, "at most 2,000"),
    ],
)
def test_a_line_that_no_server_can_follow_is_refused_with_the_way_out(line: str, way_out: str) -> None:
    with pytest.raises(BadInput, match=way_out) as refused:
        checked([line], "requirements.txt")
    assert str(refused.value).startswith("requirements.txt: ")
    assert "word" not in str(refused.value).replace("password", "")


def test_a_project_says_its_dependencies() -> None:
    assert of_project('[project]\nname = "risk"\ndependencies = ["numpy>=2", "trees"]\n') == ("numpy>=2", "trees")
    with pytest.raises(BadInput, match="poetry export"):
        of_project("[tool.poetry.dependencies]\nnumpy = '2'\n")
    with pytest.raises(BadInput, match=r"pyproject.toml cannot be read"):
        of_project("[project\n")


@pytest.mark.parametrize(
    ("requirement", "name"),
    [("Scikit_Learn==1.2", "scikit-learn"), ("ruamel.yaml", "ruamel-yaml"), ("x[a]@https://y", "x"), ("", "")],
)
def test_the_package_of_a_requirement(requirement: str, name: str) -> None:
    assert package(requirement) == name


@pytest.mark.parametrize(
    ("requirement", "release"),
    [
        ("numpy==1.26.4", (1, 26, 4)),
        ("numpy == 1.26", (1, 26)),
        ("numpy>=1.26", None),
        ("numpy==1.26.*", None),
        ("numpy!=1.2", None),
        ('numpy==1.26; python_version=="3.9"', (1, 26)),
        ("numpy", None),
    ],
)
def test_the_release_that_a_requirement_names(requirement: str, release: tuple[int, ...] | None) -> None:
    assert exact(requirement) == release


@pytest.mark.parametrize(
    ("requirements", "expected"),
    [
        (["scikit-learn==1.2.2"], {"numpy<2", "scipy<1.12", "pandas<2.2"}),
        (["scikit-learn==1.2.2", "numpy", "pandas==2.0"], {"scipy<1.12", "numpy<2"}),
        (["scikit-learn>=1.2.2"], set()),
        (["scikit-learn==1.9.0"], set()),
        (["xgboost-cpu==2.1.1"], {"pandas<3", "scikit-learn<1.6"}),
        (["statsmodels==0.14.4"], {"scipy<1.16", "pandas<3"}),
    ],
)
def test_the_bounds_of_a_releases_time(requirements: list[str], expected: set[str]) -> None:
    assert set(bounds(requirements)) == expected
