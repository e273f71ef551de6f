"""CEL over the claims of a token (`claims`) or over the user they made (`user`), as in kube-apiserver's structured
authentication configuration. Pure.

Numbers are doubles, as Go reads JSON; a field that is no identifier is written with `__dot__` and its like.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kcpfront.authentication.credential import InvalidToken
from kcpshard.api.loop_time import TooLong
from kcpshard.cel.checking import CompileFault, check
from kcpshard.cel.constants import constant_fault
from kcpshard.cel.evaluation import CostExceeded, Program
from kcpshard.cel.syntax import Call, Ident, Literal, Node, Select
from kcpshard.cel.types import BOOL, DYN, STRING, Type, list_of, map_of, struct, unescape
from kcpshard.cel.values import EvalFault

CLAIMS, USER = "claims", "user"
_STRINGS = list_of(STRING)
_TYPES: Mapping[str, Type] = {
    CLAIMS: map_of(STRING, DYN),
    USER: struct(
        {"username": STRING, "uid": STRING, "groups": _STRINGS, "extra": map_of(STRING, _STRINGS)},
        0,
        "kubernetes.UserInfo",
    ),
}
# What every evaluation of one token's expressions may raise.
_FAULTS = (EvalFault, CostExceeded, TooLong)


class Expression(NamedTuple):
    text: str
    program: Program
    selected: frozenset[str]  # members of the variable that it names, as "email"

    def value(self, given: Mapping[str, Any], what: str) -> Any:
        """Raises InvalidToken, which says what was to be found out."""
        try:
            return self.program.evaluate(given)[0]
        except _FAULTS as fault:
            reason = str(fault) or "it takes too long"
            raise InvalidToken(f"oidc: error evaluating {what}: {reason}") from None


def compile_expression(text: str, variable: str, *, is_condition: bool = False) -> Expression:
    """Raises CompileFault. A condition must be a bool; what a mapping gives is looked at when it is there."""
    try:
        checked = check(text, {variable: _TYPES[variable]})
    except CompileFault as fault:
        raise CompileFault(f"compilation failed: {fault}") from None
    if is_condition and checked.root.type != BOOL:
        raise CompileFault("must evaluate to bool")
    if unfit := constant_fault(checked):
        raise CompileFault(f"program instantiation failed: {unfit}")
    selected = set()
    for node in _nodes(checked.root):
        if isinstance(node, Select):
            if isinstance(node.operand, Ident) and node.operand.name == variable:
                selected.add(node.field)
            node.field = unescape(node.field)
        elif isinstance(node, Call) and node.function == "_?._" and isinstance(node.args[0], Ident):
            field = node.args[1]
            if isinstance(field, Literal) and node.args[0].name == variable:
                selected.add(str(field.value))
    return Expression(text, Program(checked, (variable,)), frozenset(selected))


def celled(value: Any) -> Any:
    """JSON as Python reads it → as CEL sees it after Go has read it."""
    if type(value) is int:
        return float(value)
    if isinstance(value, list):
        return [celled(each) for each in value]
    if isinstance(value, dict):
        return {key: celled(each) for key, each in value.items()}
    return value


def _nodes(found: object) -> Iterator[Node]:
    """The node and all below it."""
    if isinstance(found, list | tuple):
        for each in found:
            yield from _nodes(each)
    elif isinstance(found, Node):
        yield found
        for name in type(found).__slots__:
            if name not in ("type", "overloads"):
                yield from _nodes(getattr(found, name))
