"""YAML ↔ JSON as sigs.k8s.io/yaml reads and writes it: YAML 1.1 booleans, timestamps stay strings, keys are strings.

Aliases are followed as long as what they expand to stays within the limits of a body; nesting is bounded before
anything recursive runs.
"""

import re
from collections.abc import Iterator
from typing import Any

import orjson
import yaml

from kcpfront.json_text import MAX_NESTING

MAX_NODES = 300_000  # what a 3 MiB body could hold without aliases

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE = frozenset({"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
_INTEGER = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_PREFIX = "tag:yaml.org,2002:"


def to_json(text: bytes) -> tuple[bytes, list[str]]:
    """The first document as JSON and Go's sentences on its duplicate keys. Raises ValueError with a reason."""
    try:
        _check_nesting(text)
        loader = _Loader(text)
        try:
            node = loader.get_node() if loader.check_node() else None
        finally:
            loader.dispose()
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(_reason(error)) from None
    if node is None:
        return b"null", []
    reading = _Reading()
    reading.measure(node)
    return orjson.dumps(reading.value(node, "")), reading.duplicates


def _check_nesting(text: bytes) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_NESTING:
                raise ValueError(f"exceeded max depth of {MAX_NESTING}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _reason(error: Exception) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    # go-yaml counts the scanner's lines from one and the parser's from zero, and does not tell the line zero.
    line = 0 if mark is None or not mark.line else mark.line + isinstance(error, yaml.scanner.ScannerError)
    where = f" line {line}:" if line else ""
    return f"yaml:{where} {problem or 'invalid text'}"


class _Reading:
    """One document: node graph → JSON value."""

    def __init__(self) -> None:
        self.duplicates: list[str] = []
        self._sizes: dict[int, int] = {}  # nodes below each node with aliases expanded; -1 while it is being measured

    def measure(self, node: yaml.Node) -> int:
        """Raises ValueError for an alias within itself and for what expands beyond the limit."""
        size = self._sizes.get(id(node))
        if size is None:
            self._sizes[id(node)] = -1
            size = 1 + sum(self.measure(child) for child in _children(node))
            self._sizes[id(node)] = size
        if size < 0:
            raise ValueError("yaml: an anchor contains itself")
        if size > MAX_NODES:
            raise ValueError("yaml: document contains excessive aliasing")
        return size

    def value(self, node: yaml.Node, path: str) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, f"{path}[{i}]") for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _PREFIX + "merge":
                sources = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                for source in sources:
                    value = self.value(source, path)
                    if not isinstance(value, dict):
                        raise ValueError("yaml: map merge requires map or sequence of maps as the value")
                    merged = value | merged
                continue
            key = _key(key_node)
            where = f"{path}.{key}" if path else key
            if key in found:
                self.duplicates.append(
                    f"line {key_node.start_mark.line + 1}: key {_go_key(key_node)} already set in map"
                )
            found[key] = self.value(value_node, where)
        return merged | found


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise ValueError("yaml: a key is not a scalar")
    value = _scalar(node)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else "null" if value is None else str(value)


def _go_key(node: yaml.ScalarNode) -> str:
    """As Go's YAML library shows the key: its value, strings in quotes."""
    value = _scalar(node)
    return orjson.dumps(value).decode()


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    if node.style and node.tag in (_PREFIX + "str", "!"):
        return text  # quoted or a block: a string whatever it looks like
    if node.tag == _PREFIX + "str" and _implicit_tag(text) != node.tag:
        return text  # it says !!str itself
    if node.tag == _PREFIX + "binary":
        return text.replace("\n", "").replace(" ", "")
    return _plain(text)


_resolver: Any = yaml.resolver.Resolver()


def _implicit_tag(text: str) -> str:
    """What PyYAML takes a plain scalar for."""
    tag: str = _resolver.resolve(yaml.ScalarNode, text, (True, False))
    return tag


def _plain(text: str) -> Any:
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    return text


def _integer(text: str) -> Any:
    digits = text.replace("_", "")
    sign = -1 if digits[0] == "-" else 1
    digits = digits.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        digits = "0o" + digits[1:]
    try:
        number = sign * int(digits, 0)
    except ValueError:
        return text
    return number if -(1 << 63) <= number < 1 << 64 else float(number)


class _WritingDumper(_Dumper):  # type: ignore[misc, valid-type]
    """Quotes what YAML 1.1 readers would take for something else than a string."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_string(dumper: Any, text: str) -> Any:
    style = None
    if "\n" in text:
        style = "|"
    elif text in ("", "=", "<<") or not isinstance(_plain(text), str) or _implicit_tag(text) != _PREFIX + "str":
        style = '"'
    return dumper.represent_scalar(_PREFIX + "str", text, style=style)


_WritingDumper.add_representer(str, _represent_string)


def from_json(text: bytes) -> bytes:
    """The JSON document as YAML with sorted keys."""
    written: bytes = yaml.dump(
        orjson.loads(text), Dumper=_WritingDumper, encoding="utf-8", allow_unicode=True, default_flow_style=False
    )
    return written
