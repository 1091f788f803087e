"""The whole server, as an object."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from payoff.client import frames
from payoff.client.artefacts import Artefact, as_artefact, existing
from payoff.client.delivery import Delivery, Hears, no_ears
from payoff.client.endpoint import Endpoint
from payoff.client.fields import fields
from payoff.client.fields import requirements as listed
from payoff.client.form import Form, Part
from payoff.client.roi import Roi
from payoff.client.whoami import code as commit
from payoff.client.whoami import whoami
from payoff.client.wire import ARROW, Body, Wire
from payoff.errors import BadInput


class Client:
    """What `payoff.connect()` gives."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def __repr__(self) -> str:
        return f"<payoff at {self._wire.url}>"

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._wire.close()

    def deploy(
        self,
        model: Any,
        name: str | None = None,
        *,
        sample: Any = None,
        endpoint: str | None = None,
        as_: str | None = None,
        traffic: float | str | None = None,
        flavor: str | None = None,
        requirements: str | Path | Sequence[str] | None = None,
        python: str | None = None,
        memory: str | int | None = None,
        call_timeout: str | float | None = None,
        load_timeout: str | float | None = None,
        runners: int | None = None,
        threads: int | None = None,
        network: bool = False,
        native: bool = False,
        options: Mapping[str, Any] | None = None,
        author: str | None = None,
        code: str | None = None,
        data: str | None = None,
        metrics: Mapping[str, float] | None = None,
        note: str | None = None,
        tags: Mapping[str, str] | None = None,
        reason: str = "",
        tracking: str | None = None,
        hears: Hears = no_ears,
    ) -> Endpoint:
        """Puts a model into production and returns its endpoint; it takes as long as its environment takes to build.

        `model` is an object (a fitted estimator, a booster, a PyTorch module, a Keras model, a pipeline, a function,
        `payoff.rule(...)`), the path of a file or folder, or a text such as "mlflow:models:/NAME/3" (from the server
        at `tracking`, else MLFLOW_TRACKING_URI). `sample` are some rows of its inputs (any frame, or the path of a
        file), from which the signature is taken and with which the model is checked where it will run.
        `as_` is "champion", "challenger" or "shadow"; `traffic` a challenger's share.

        What it needs: `requirements` (a file, "a==1, b>=2" or a list; an object brings along what is installed here),
        `python` ("3.11"). What it may use: `memory` ("4G"), `call_timeout` and `load_timeout` ("30s"), `runners`
        (processes in each worker), `threads` of one, `network`. `native` never converts it; `options` are for its
        flavor. Where it comes from: `code` (the commit of the folder's git work tree unless said), `data`, `metrics`,
        `note`, `tags`. `hears` is called now and then with how the deploy goes.
        """
        said = {
            "name": name, "endpoint": endpoint, "as": as_, "traffic": traffic, "flavor": flavor,
            "memory": memory, "call_timeout": call_timeout, "load_timeout": load_timeout, "runners": runners,
            "threads": threads, "network": network or None, "native": native or None,
            "author": author or whoami(), "code": commit() if code is None else code, "data": data,
            "metrics": metrics, "note": note, "tags": tags, "reason": reason,
        }  # fmt: skip
        with as_artefact(model, sample, tracking) as artefact:
            own = {"requirements": listed(requirements), "python": python, "options": options or None}
            form = fields(said | _needed(artefact, own))
            files: dict[str, tuple[str, Part]] = {"artifact": (artefact.name, artefact.path)}
            if sample is not None:
                files["sample"] = _sample(sample)
            reply = Delivery(self._wire, Form(form, files), hears).run()
        return Endpoint(self._wire, reply["endpoint"], reply)

    def endpoint(self, name: str) -> Endpoint:
        """An endpoint that exists; NotFound names the ones there are."""
        found = self._wire.get("endpoints", name)
        return Endpoint(self._wire, found["endpoint"])

    def endpoints(self) -> list[dict[str, Any]]:
        """Every endpoint with its arms."""
        return self._list("endpoints")

    def models(self) -> list[dict[str, Any]]:
        """Every model with its latest version and aliases."""
        return self._list("models")

    def versions(self, model: str) -> list[dict[str, Any]]:
        """Every version of a model."""
        found: list[dict[str, Any]] = self._wire.get("models", model, "versions")["versions"]
        return found

    def version(self, model: str, version: int | str = "latest") -> dict[str, Any]:
        """One version, by its number or an alias: what it takes and gives, how it runs, where it comes from."""
        found: dict[str, Any] = self._wire.get("models", model, "versions", str(version))
        return found

    def compare(self, before: str, after: str, sample: Any = None) -> dict[str, Any]:
        """Two versions ("buyers@3", "buyers@champion") side by side: columns, packages, facts and answers.

        Both are asked the sample rows of the first one, or the rows of `sample` (any frame, or the path of a file).
        """
        model, at, _ = before.partition("@")
        if not at or "@" not in after:
            raise BadInput("name both versions as MODEL@VERSION, as in compare('buyers@3', 'buyers@4')")
        if sample is None:
            found: dict[str, Any] = self._wire.get("models", model, "diff", before=before, after=after)
            return found
        body = Form({}, {"sample": _sample(sample)})
        said = Body(body, body.content_type)
        found = self._wire.post("models", model, "diff", body=said, before=before, after=after)
        return found

    def alias(self, model: str, alias: str, version: int) -> dict[str, Any]:
        """Points a name such as "champion" at a version."""
        found: dict[str, Any] = self._wire.put("models", model, "aliases", alias, body=Body.of({"version": version}))
        return found

    def orders(self, endpoint: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Who moved what, when and why; newest first."""
        return self._list("orders", endpoint=endpoint, limit=limit)

    def verify_orders(self) -> dict[str, Any]:
        """Whether the audit trail is `whole`, else which order is `broken`; `end` is the chain of the last one."""
        found: dict[str, Any] = self._wire.get("orders", "verify")
        return found

    def findings(self, endpoint: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """What the monitors found; newest first."""
        return self._list("findings", endpoint=endpoint, limit=limit)

    def end_drill(self, name: str) -> None:
        """Takes down the copy of an endpoint that a drill was run on."""
        self._wire.send("DELETE", self._wire.at("endpoints", name))

    def note_drill(self, endpoint: str, report: dict[str, Any]) -> dict[str, Any]:
        """Keeps what a drill found among the endpoint's findings."""
        body = {"text": report["text"], "passed": report["passed"], "report": report}
        found: dict[str, Any] = self._wire.post("endpoints", endpoint, "drills", body=Body.of(body))
        return found

    def apply(self, file: Any, reason: str = "") -> dict[str, Any]:
        """Makes an endpoint what a file says: a path, YAML text or a dict."""
        name, content = _file(file)
        found: dict[str, Any] = self._wire.put("endpoints", name, body=content, author=whoami(), reason=reason)
        return found

    def diff(self, file: Any) -> dict[str, Any]:
        """What `apply` would change, as text, without doing it."""
        name, content = _file(file)
        found: dict[str, Any] = self._wire.post("endpoints", name, "diff", body=content)
        return found

    def sql(self, text: str, limit: int | None = None) -> Any:
        """Runs DuckDB SQL over predictions, shadows and outcomes; a pandas frame, or Arrow where pandas is missing."""
        return frames.to_pandas(self.sql_arrow(text, limit))

    def sql_arrow(self, text: str, limit: int | None = None) -> Any:
        """The same as a pyarrow Table."""
        return frames.read(self._wire.send("POST", self._wire.at("sql"), _question(text, limit), ARROW).body)

    def sql_rows(self, text: str, limit: int | None = None) -> dict[str, Any]:
        """The same as plain values: columns (name, type), rows, and whether rows were left off."""
        found: dict[str, Any] = self._wire.post("sql", body=_question(text, limit))
        return found

    def roi(self) -> list[Roi]:
        """What each endpoint earned; they are never added up."""
        return [Roi.read(one) for one in self._wire.get("roi")["statements"]]

    def roi_page(self) -> str:
        """The same as one page of HTML that loads nothing, each endpoint on a sheet of its own."""
        return self._wire.page("roi", "page")

    def costs(
        self,
        endpoint: str | None = None,
        *,
        since: str | None = None,
        until: str | None = None,
        by: str | None = None,
    ) -> dict[str, Any]:
        """What it cost, by version, and what each must earn a day; of this month, if nothing else is said.

        `since` and `until` are a day ("2026-11-22"), a time or how long ago ("7d"); `by` is "hour", "day" or "month".
        """
        found: dict[str, Any] = self._wire.get("costs", endpoint=endpoint, since=since, until=until, by=by)
        return found

    def costs_focus(
        self,
        endpoint: str | None = None,
        *,
        since: str | None = None,
        until: str | None = None,
        by: str | None = None,
    ) -> str:
        """The same as CSV in the columns of FOCUS 1.2, by day if nothing else is said."""
        address = self._wire.at("costs", "focus", endpoint=endpoint, since=since, until=until, by=by)
        return self._wire.send("GET", address, accept="text/csv").body.decode()

    def health(self) -> dict[str, Any]:
        """The state of every part, and what to do about it."""
        found: dict[str, Any] = self._wire.get("health")
        return found

    def _list(self, what: str, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._wire.get(what, **query)[what]
        return found


def _needed(artefact: Artefact, said: dict[str, Any]) -> dict[str, Any]:
    """What is said of the environment; else what the object brings along."""
    brought = {
        "requirements": None if artefact.requirements is None else "\n".join(artefact.requirements) or None,
        "python": artefact.python,
        "folder": artefact.is_folder or None,
        "options": artefact.options,
    }
    return said | {name: value for name, value in brought.items() if said.get(name) is None}


def _sample(sample: Any) -> tuple[str, Part]:
    if isinstance(sample, str | Path):
        path = existing(Path(sample), "sample")
        return path.name, path
    return "sample.arrow", frames.stream(frames.take(sample).table)


def _question(text: str, limit: int | None) -> Body:
    return Body.of({"sql": text} if limit is None else {"sql": text, "limit": limit})


def _file(file: Any) -> tuple[str, Body]:
    """The endpoint's name in a file, and the file as the body of a request; everything else the server checks."""
    if isinstance(file, dict):
        return _name(file), Body.of(file)
    is_text = isinstance(file, str) and "\n" in file
    text = file if is_text else existing(Path(file), "endpoint file").read_text("utf-8")
    return _name(_yaml(text)), Body(text.encode(), "application/yaml")


def _name(content: Any) -> str:
    name = content.get("endpoint") if isinstance(content, dict) else None
    if not isinstance(name, str):
        raise BadInput("an endpoint file has a line `endpoint: NAME`; `payoff endpoints` lists the names there are")
    return name


def _yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(f"this is not YAML: {error}") from error
