"""What commands say: one clear sentence when they refuse, and lists as a table, JSON or YAML."""

import json
from collections.abc import Mapping, Sequence
from typing import IO, Any

import click

Row = Mapping[str, Any]


class Refused(click.ClickException):
    """The command cannot do what was asked; the message is one sentence for a person, without a traceback."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"kcp: {self.message}", err=file is None, file=file)


def os_sentence(doing: str, fault: OSError) -> str:
    """What went wrong with a file, in words: `cannot write /x: No space left on device`."""
    name = fault.filename.decode() if isinstance(fault.filename, bytes) else fault.filename
    place = f" {name}" if name else ""
    return f"{doing}{place}: {fault.strerror or fault}"


output_option = click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    show_default=True,
    help="How to show the list.",
)


def render(rows: Sequence[Row], form: str) -> str:
    """A list in the asked form, ending in a newline. The columns of a table are the keys of the first row."""
    if form == "json":
        return json.dumps([dict(row) for row in rows], indent=2) + "\n"
    if form == "yaml":
        import yaml  # costs 13 ms, which the other forms need not pay

        return str(yaml.safe_dump([dict(row) for row in rows], sort_keys=False))
    return table(rows)


def document(value: Row, form: str) -> str:
    """One object in JSON or YAML, ending in a newline."""
    if form == "json":
        return json.dumps(dict(value), indent=2) + "\n"
    import yaml

    return str(yaml.safe_dump(dict(value), sort_keys=False))


def table(rows: Sequence[Row]) -> str:
    """Columns under upper-case heads, three spaces apart, as kubectl prints them."""
    if not rows:
        return "No entries.\n"
    lines = [[str(key).upper() for key in rows[0]], *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n"
        for line in lines
    )


def _cell(value: object) -> str:
    return "-" if value is None else str(value)
