"""What a failure of uv means: its own words, bounded, and the likely cure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable

from payoff.environments.uv import Done
from payoff.errors import BadInput, PayoffError, Unavailable

WORDS_MAX = 1_500
_MEANT = {  # what is imported, and the package that has it
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "cv2": "opencv-python-headless",
    "pil": "pillow",
    "yaml": "pyyaml",
    "bs4": "beautifulsoup4",
    "imblearn": "imbalanced-learn",
    "fbprophet": "prophet",
    "dateutil": "python-dateutil",
    "pytorch": "torch",
}
_KNOWN = (
    "catboost cloudpickle dask datasets fastapi flask gensim h5py huggingface-hub hyperopt imbalanced-learn jax "
    "joblib keras lightgbm lightning matplotlib mlflow nltk numba numpy onnx onnxruntime opencv-python-headless "
    "optuna pandas pillow plotly polars prophet pyarrow pydantic pyspark pyyaml requests safetensors scikit-image "
    "scikit-learn scipy seaborn sentence-transformers shap skops sktime spacy statsmodels tensorflow tokenizers torch "
    "torchvision tqdm transformers xgboost"
)
_UNREACHED = r"error sending request|dns error|tcp connect|timed out|Connection (refused|reset)|client error|network"
_NO_PLACE = r"No space left on device|os error 28\b|Disk quota exceeded"

Nearest = Callable[[str, str], str]  # which releases of a package there are near one that there is not


def refusal(done: Done, python: str, doing: str, nearest: Nearest) -> PayoffError:
    """The error for a call of uv that failed while `doing` ("resolved", "built")."""
    said = own_words(done.said)
    if done.status is None:
        return Unavailable(f"the environment was not {doing} in time and was given up; try again. uv said last: {said}")
    if re.search(_NO_PLACE, done.said):
        return Unavailable(f"the server's disk is full, so the environment was not {doing}; make room. uv says: {said}")
    if re.search(r"(status code|status client error|HTTP status).{0,30}(401|403)|Unauthorized|Forbidden", done.said):
        cure = "the package index refuses the server: put its name and password into the server's .netrc or pip.conf"
        return Unavailable(f"the environment was not {doing}: {cure}. uv says: {said}")
    if re.search(_UNREACHED, done.said) and "No solution found" not in done.said:
        cure = "look whether the server reaches its package index, and what its pip.conf says, then deploy again"
        return Unavailable(f"the environment was not {doing}: {cure}. uv says: {said}")
    return BadInput(f"the environment was not {doing}. {_cure(done.said, python, nearest)}. uv says: {said}")


def own_words(said: str) -> str:
    """uv's words on a few lines: without its hints, which are about flags that nobody here can set."""
    plain = re.sub(r"(?ms)^hint:.*", "", said)
    plain = re.sub(r"(?m)^( *)Traceback \(most recent call last\):\n(\1 +.*\n)*", "", plain)
    lines = [
        line.strip()
        for line in plain.splitlines()
        if line.strip() and not re.match(r"\s*(Updating|Resolved|warning:)", line)
    ]
    text = " ".join(lines)
    return text if len(text) <= WORDS_MAX else f"{text[: WORDS_MAX // 2]} ... {text[-WORDS_MAX // 2 :]}"


def _cure(said: str, python: str, nearest: Nearest) -> str:
    flat = re.sub(r"\s+", " ", said)
    if found := re.search(r"([\w.-]+) was not found in the (package registry|provided package locations)", flat):
        return _unknown(found[1])
    if found := re.search(r"(\S+) (?:requires|depends on) Python ?((?:[<>=!~]=?[\d.*]+(?:, ?)?)+)", flat):
        return f"{found[1]} needs Python {found[2].rstrip(', ')} and this is {python}: choose another with --python"
    if found := re.search(r"current Python version \(([\d.]+)\) does not satisfy Python ?([<>=!~\d., ]+)", flat):
        return f"Python {found[2].strip(' ,')} is needed and this is {found[1]}: choose another with --python"
    if found := re.search(r"there is no version of ([\w.-]+)(?:\[[^\]]*\])?==(\S+?)[ ,]", flat):
        return f"There is no {found[1]} {found[2]}{nearest(found[1], found[2])}"
    if found := re.search(r"([\w.-]+)(==\S+)? has no (?:usable wheels|wheels with a matching)", flat):
        return _no_wheel(found[1], python)
    if found := re.search(r"Failed to (?:download and )?build `([\w.-]+)", flat):
        if found[1].lower() in _MEANT:
            return _unknown(found[1])
        return _no_wheel(found[1], python)
    if "parse requirement" in flat:
        return "One line is no requirement; write them as pandas==2.3.1 or scikit-learn>=1.5,<1.6"
    if "unsatisfiable" in flat:
        return "The requirements contradict each other; loosen or leave out one of those named below"
    return "Look at what uv says, and change the requirements or the server's settings"


def _unknown(name: str) -> str:
    meant = _MEANT.get(name.lower()) or next(
        iter(difflib.get_close_matches(name.lower(), _KNOWN.split(), 1, 0.8)), None
    )
    if meant and meant != name.lower():
        return f"There is no package {name}; {meant} may be meant"
    return (
        f"There is no package {name} where the server looks; look at its spelling, and if it is your company's own, "
        "tell the server where it is (extra-index-url or find-links in its pip.conf)"
    )


def _no_wheel(name: str, python: str) -> str:
    return (
        f"{name} has no ready-made wheel in that release for Python {python} on this machine, and building it from "
        "source failed or is not allowed; choose another release of it, or another Python with --python"
    )
