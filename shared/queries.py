"""A service's SQL statements: named blocks of `sql/queries.sql`, with positional (`$1`) or named (`:name`) parameters.

SQL = load_queries("scheduler")
await database.fetch(SQL["lock_jobs"], job_ids)
await database.execute(*SQL.bind("insert_link", secret_hash=secret_hash, expires_at=until))
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

_BLOCK = re.compile(r"^-- ([a-z][a-z0-9_]*): .+$", re.MULTILINE)
# Comments, quoted text, quoted identifiers and casts come first, so that a colon within them is never a parameter. Nor
# is one after a digit, a name or a bracket: that is an array's slice.
_TOKEN = re.compile(
    r"""--[^\n]*
      | /\*.*?\*/
      | (?<!\w)[eE]'(?:[^'\\]|\\.|'')*'
      | '(?:[^']|'')*'
      | "(?:[^"]|"")*"
      | \$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$
      | ::
      | (?<![\w\])]):(?P<name>[a-z_][a-z0-9_]*)
      | (?P<position>\$\d+)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text with positional parameters, and the names of these in their order; no names where the text had none."""

    text: str
    parameters: tuple[str, ...]


class Queries(Mapping[str, str]):
    """The statements of one service by name. Those with positional parameters are looked up, the others are bound."""

    def __init__(self, statements: Mapping[str, Statement]) -> None:
        self._statements = statements

    def __getitem__(self, name: str) -> str:
        """Return the text of a statement with positional parameters, or with none.

        Raises KeyError for an unknown name and TypeError for a statement with named parameters.
        """
        statement = self._statements[name]
        if statement.parameters:
            raise TypeError(f"query {name} has named parameters: use bind()")
        return statement.text

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._statements)

    def __len__(self) -> int:
        """Return the number of statements."""
        return len(self._statements)

    def bind(self, name: str, /, **values: Any) -> tuple[Any, ...]:
        """Return the arguments for a driver's call: the text of a statement, then its values in the order of its `$n`.

        Raises KeyError for an unknown statement and TypeError unless the values are exactly those that it names.
        """
        statement = self._statements[name]
        try:
            bound = (statement.text, *[values[each] for each in statement.parameters])
        except KeyError as error:
            raise TypeError(f"query {name} needs a value for :{error.args[0]}") from None
        if len(values) != len(statement.parameters):
            unknown = sorted(set(values) - set(statement.parameters))
            raise TypeError(f"query {name} has no parameter :{', :'.join(unknown)}")
        return bound


def load_queries(package: str) -> Queries:
    """Read the named blocks of a package's `sql/queries.sql`. Raises ValueError as `parse_queries` does."""
    return parse_queries(files(package).joinpath("sql", "queries.sql").read_text(encoding="utf-8"))


def parse_queries(text: str) -> Queries:
    """Split SQL text into its named blocks: each begins with `-- name: purpose` and ends at the next.

    Raises ValueError for a name that is used twice, and for a block with both positional and named parameters.
    """
    found: dict[str, Statement] = {}
    pieces = _BLOCK.split(text)
    for name, body in zip(pieces[1::2], pieces[2::2], strict=True):
        if name in found:
            raise ValueError(f"query {name} is defined twice")
        try:
            found[name] = parse_statement(body.strip())
        except ValueError as error:
            raise ValueError(f"query {name}: {error}") from None
    return Queries(found)


def parse_statement(text: str) -> Statement:
    """Replace each `:name` in a statement with `$1`, `$2` ..., one number for each name, in order of first appearance.

    Casts (`::text`), comments, quoted text and array slices with numbers stay as they are. Raises ValueError for a text
    with both kinds of parameters.
    """
    numbers: dict[str, int] = {}
    positions = False

    def replace(match: re.Match[str]) -> str:
        nonlocal positions
        positions = positions or match["position"] is not None
        if (name := match["name"]) is None:
            return match[0]
        return f"${numbers.setdefault(name, len(numbers) + 1)}"

    translated = _TOKEN.sub(replace, text)
    if numbers and positions:
        raise ValueError("it has both positional and named parameters")
    return Statement(translated, tuple(numbers))
