"""Conversions and patterns whose arguments are written out: what can only fail is refused at once."""

from kcpshard.cel.checking import Checked, children
from kcpshard.cel.functions import FUNCTIONS, pattern
from kcpshard.cel.syntax import Call, Literal, Node
from kcpshard.cel.values import EvalFault

_CONVERSIONS = frozenset(("bool", "bytes", "double", "duration", "int", "string", "timestamp", "uint"))
_PATTERNS = frozenset(("find", "findAll", "matches"))


def constant_fault(checked: Checked) -> str:
    """Why the expression cannot become a program; empty if it can."""
    return _fault(checked.root)


def _fault(node: Node) -> str:
    for child in children(node):
        if fault := _fault(child):
            return fault
    if not isinstance(node, Call) or not node.args or not isinstance(node.args[0], Literal):
        return ""
    value = node.args[0].value
    try:
        if node.function in _CONVERSIONS and node.target is None:
            FUNCTIONS[node.function](value)
        elif node.function in _PATTERNS and isinstance(value, str) and node.target is not None:
            pattern(value)
    except EvalFault as fault:
        return str(fault)
    return ""
