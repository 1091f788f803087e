"""Text to sqlglot's tree, within limits, and back to a place in the text for an error."""

from concurrent.futures import ThreadPoolExecutor

from sqlglot import Dialect, exp

from payoff.errors import BadInput

TEXT_MAX = 4_000  # characters
DEPTH_MAX = 64  # levels of the tree; a chain of and, or, + and - is one level, parentheses are none
NODES_MAX = 1_000  # keeps the longest chain under DuckDB's own limit of depth, 1,000
CHAINS = ((exp.And,), (exp.Or,), (exp.Add, exp.Sub))
_SHOWN_MAX = 60
_DUCKDB = Dialect.get_or_raise("duckdb")


def read(text: str) -> exp.Expr:
    """The one expression in `text`, not deeper and not larger than the limits."""
    _check_text(text)
    # A thread of its own starts with an empty stack: sqlglot takes some 25 frames a parenthesis, and what parses must
    # not depend on how deep the caller is.
    with ThreadPoolExecutor(1) as fresh:
        trees = fresh.submit(_parse, text).result()
    if len(trees) != 1 or trees[0] is None:
        raise BadInput(f"this is not one expression: {shown(text)}; write one condition or one value, without ';'")
    _check_size(trees[0], text)
    return trees[0]


def _parse(text: str) -> list[exp.Expr | None]:
    try:
        tokens = _DUCKDB.tokenize(text)
        if tokens and not any(token.comments for token in tokens):
            # as a condition, never as a statement: of those, sqlglot logs what it does not know
            return list(_DUCKDB.parser().parse_into(exp.Condition, tokens, text))
    except RecursionError:
        raise _too_deep(text) from None
    except Exception as error:  # on some texts sqlglot fails with an IndexError of its own
        raise BadInput(_explain(error, text)) from error
    raise BadInput(
        f"{'a comment' if text.strip() else 'nothing'} is not an expression: {shown(text)}; "
        "write one condition or one value ('--' and '/*' begin a comment; write a - (-b))"
    )


def _check_text(text: str) -> None:
    if len(text) > TEXT_MAX:
        raise BadInput(f"the expression has {len(text):,} characters; at most {TEXT_MAX:,} are allowed")
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise BadInput(f"the expression holds a character that is not text: {shown(text)}; remove it")


def _check_size(tree: exp.Expr, text: str) -> None:
    """Level by level and without recursion, so that no text can exhaust the stack."""
    todo, nodes = [(tree, 1)], 0
    while todo:
        node, depth = todo.pop()
        nodes += 1
        if depth > DEPTH_MAX:
            raise _too_deep(text)
        if nodes > NODES_MAX:
            raise BadInput(f"the expression has more than {NODES_MAX:,} names, constants and operations")
        below = not isinstance(node, exp.Paren)
        todo.extend((child, depth + (below and not chained(node, child))) for child in node.iter_expressions())


def chained(node: exp.Expr, child: exp.Expr) -> bool:
    """Whether `child` continues the chain of `node` to the left: a + b of a + b + c."""
    return child is node.this and any(isinstance(node, chain) and isinstance(child, chain) for chain in CHAINS)


def refusal(text: str, tree: exp.Expr, problem: str) -> BadInput:
    """The error for a part of the text, with where it stands."""
    span = _span(tree)
    return BadInput(f"{problem} (in {shown(text)})" if span is None else f"{problem} (at character {span[0] + 1})")


def written(text: str, tree: exp.Expr) -> str:
    """A part as the author wrote it, shortened."""
    span = _span(tree)
    if span is None or (isinstance(tree, exp.Func) and "start" not in tree.meta):
        return f"`{tree.key}`"  # sqlglot's tree does not know where the name of some functions stands
    return shown(text[span[0] : span[1] + 1])


def shown(text: str) -> str:
    """On one line, and not too long."""
    line = " ".join(text.split())
    return f"`{line}`" if len(line) <= _SHOWN_MAX else f"`{line[:_SHOWN_MAX]}...`"


def _span(tree: exp.Expr) -> tuple[int, int] | None:
    places = [node.meta for node in tree.walk() if "start" in node.meta]
    return (min(m["start"] for m in places), max(m["end"] for m in places)) if places else None


def _too_deep(text: str) -> BadInput:
    return BadInput(
        f"{shown(text)} is nested too deeply: at most {DEPTH_MAX} levels, and some 30 parentheses, cases and functions "
        "in one another; use one `case` with several `when`, or fewer parentheses"
    )


def _explain(error: Exception, text: str) -> str:
    for detail in getattr(error, "errors", ()):
        before, here = " ".join(detail["start_context"].split())[-_SHOWN_MAX:], detail["highlight"]
        if "missing" in detail["description"]:
            return f"cannot read {shown(text)}: something is missing after `{f'{before} {here}'.strip()}`"
        if "Unexpected" in detail["description"]:
            place = f" after `{before}`" if before else ""
            return f"cannot read {shown(text)}: `{here}` is not expected{place}; write one condition or one value"
        return f"cannot read {shown(text)}: {detail['description'].lower()}, at `{f'{before} {here}'.strip()}`"
    return f"cannot read {shown(text)}: check that every quote and parenthesis is closed"
