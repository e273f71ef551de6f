"""A checked expression as a program: nested closures over a frame.

A frame is a list: the cost so far, then one slot per variable. Costs are counted as kube-apiserver counts them, for
they decide what is refused; a loop that passes the limit ends at once.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kcpshard.api import loop_time
from kcpshard.cel import operators
from kcpshard.cel.checking import Checked
from kcpshard.cel.functions import FUNCTIONS
from kcpshard.cel.runtime_cost import COSTS, NOMINAL, equality
from kcpshard.cel.syntax import RESULT, Call, Fold, Ident, ListLiteral, Literal, MapLiteral, Node, Select, StructLiteral
from kcpshard.cel.types import unescape
from kcpshard.cel.values import NONE, EvalFault, Lazy, Optional, Struct, TypeName, equal

CALL_LIMIT = 1_000_000  # per evaluation, as celconfig.PerCallLimit
Frame = list[Any]
Step = Callable[[Frame], Any]


class CostExceeded(Exception):
    """More than CALL_LIMIT was spent by one evaluation."""


class Program:
    """`evaluate` gives the value and what it cost, or raises EvalFault, CostExceeded or loop_time.TooLong."""

    __slots__ = ("_nominal", "_run", "_size")

    def __init__(self, checked: Checked, variables: tuple[str, ...]) -> None:
        builder = _Builder(variables)
        self._run = builder.build(checked.root)
        self._size, self._nominal = builder.size, builder.nominal

    def evaluate(self, *values: Any) -> tuple[Any, int]:
        # On an event loop an evaluation may cost less: it starts with what it may not spend.
        start = max(0, CALL_LIMIT - loop_time.cel_units())
        frame = [start, *values, *[None] * (self._size - len(values))]
        nominal = self._nominal
        if nominal:
            frame[nominal] = 0
        try:
            found = self._run(frame)
            if frame[0] > CALL_LIMIT:
                raise CostExceeded
        except EvalFault as fault:
            fault.cost = frame[0] - start + (frame[nominal] if nominal else 0)  # type: ignore[attr-defined]
            raise
        except CostExceeded:
            if start:
                raise loop_time.TooLong from None
            raise
        except RecursionError:
            raise EvalFault("evaluation too deep") from None
        if not nominal:
            return found, frame[0] - start
        cost = frame[0] - start + frame[nominal]
        if cost > CALL_LIMIT:
            raise CostExceeded
        return found, cost


class _Builder:
    def __init__(self, variables: tuple[str, ...]) -> None:
        self._slots: dict[str, int] = {name: place for place, name in enumerate(variables, 1)}
        self.size = len(variables)
        self.nominal = 0  # the slot of costs that say nothing about time; 0: there are none

    def build(self, node: Node) -> Step:
        made: Step = _BUILDS[type(node)](self, node)
        return made

    def _slot(self) -> int:
        self.size += 1
        return self.size

    def literal(self, node: Literal) -> Step:
        value = node.value
        return lambda frame: value

    def ident(self, node: Ident) -> Step:
        if node.name not in self._slots:
            return _type_value(node)
        return self._read(self._slots[node.name])

    def _read(self, slot: int) -> Step:
        def read(frame: Frame) -> Any:
            frame[0] += 1
            return frame[slot]

        return read

    def select(self, node: Select) -> Step:
        if node.qualified:
            return self._read(self._slots[node.qualified]) if node.qualified in self._slots else _type_value(node)
        field = unescape(node.field) if node.operand.type.kind in ("struct", "optional") else node.field
        operand = self.build(node.operand)
        is_struct = node.operand.type.kind == "struct"
        if node.test_only:
            return _presence(operand, field, is_struct)
        if is_struct:
            return _property(operand, field)

        def read(frame: Frame) -> Any:
            found = operand(frame)
            frame[0] += 1
            if type(found) is dict:
                try:
                    return found[field]
                except KeyError:
                    raise EvalFault(f"no such key: {field}") from None
            return operators.select(found, field)

        return read

    def call(self, node: Call) -> Step:
        made = _SPECIAL.get(node.function)
        if made is not None:
            return made(self, node)  # type: ignore[no-any-return]
        nodes = ([node.target] if node.target is not None else []) + node.args
        if node.function == "_?._":
            return self._optional_select(node)
        arguments = [self.build(n) for n in nodes]
        function, cost = FUNCTIONS[node.function], COSTS.get(node.function)
        if cost is None:
            return _plain(function, arguments)
        if node.function in NOMINAL:
            self.nominal = self.nominal or self._slot()
            return _nominal(function, arguments, NOMINAL[node.function], self.nominal)

        def run(frame: Frame) -> Any:
            values = tuple([argument(frame) for argument in arguments])
            found = _called(function, values)
            frame[0] += cost(values, found)
            return found

        return run

    def _optional_select(self, node: Call) -> Step:
        operand, name = self.build(node.args[0]), node.args[1]
        assert isinstance(name, Literal)
        field = unescape(name.value) if node.args[0].type.kind in ("struct", "optional") else name.value
        is_struct = node.args[0].type.kind == "struct"

        def run(frame: Frame) -> Any:
            found = operators.optional_select(operand(frame), field)
            frame[0] += 1
            return NONE if is_struct and found.value is None else found

        return run

    def conjunction(self, node: Call) -> Step:
        return _absorbing(self.build(node.args[0]), self.build(node.args[1]), False)

    def disjunction(self, node: Call) -> Step:
        return _absorbing(self.build(node.args[0]), self.build(node.args[1]), True)

    def conditional(self, node: Call) -> Step:
        condition, yes, no = map(self.build, node.args)

        def run(frame: Frame) -> Any:
            found = condition(frame)
            if found is True:
                return yes(frame)
            return no(frame) if found is False else operators.no_overload()

        return run

    def negation(self, node: Call) -> Step:
        operand = self.build(node.args[0])

        def run(frame: Frame) -> Any:
            found = operand(frame)
            frame[0] += 1
            return not found if isinstance(found, bool) else operators.no_overload()

        return run

    def equals(self, node: Call) -> Step:
        left, right = map(self.build, node.args)
        wanted = node.function == "_==_"

        def run(frame: Frame) -> bool:
            one, two = left(frame), right(frame)
            frame[0] += equality(one, two)
            return equal(one, two) is wanted

        return run

    def tolerant(self, node: Call) -> Step:
        """`@not_strictly_false`: an error is not false."""
        operand = self.build(node.args[0])

        def run(frame: Frame) -> bool:
            try:
                found = operand(frame)
            except EvalFault:
                found = True
            frame[0] += 1
            return found is not False

        return run

    def list(self, node: ListLiteral) -> Step:
        elements, optional = [self.build(e) for e in node.elements], node.optional

        def run(frame: Frame) -> list[Any]:
            found = [element(frame) for element in elements]
            frame[0] += 10
            return found if not optional else _present(found, optional)

        return run

    def map(self, node: MapLiteral) -> Step:
        entries = [(self.build(key), self.build(value), optional) for key, value, optional in node.entries]

        def run(frame: Frame) -> dict[Any, Any]:
            found: dict[Any, Any] = {}
            for key, value, optional in entries:
                name, entry = key(frame), value(frame)
                if not operators.hashable(name):
                    raise EvalFault("unsupported key type")
                if not optional:
                    found[name] = entry
                elif entry.has:
                    found[name] = entry.value
            frame[0] += 30
            return found

        return run

    def struct(self, node: StructLiteral) -> Step:
        fields = [(name, self.build(value), optional) for name, value, optional, _ in node.fields]

        def run(frame: Frame) -> Struct:
            found: dict[str, Any] = {}
            for name, value, optional in fields:
                entry = value(frame)
                if not optional:
                    found[name] = entry
                elif entry.has:
                    found[name] = entry.value
            frame[0] += 40
            return Struct(node.name, found)

        return run

    def fold(self, node: Fold) -> Step:
        range_ = self.build(node.range)
        if not node.variable2 and node.accumulator == RESULT:
            special = self._quantifier(node, range_)
            if special is not None:
                return special
        return self._general_fold(node, range_)

    def _scoped(self, names: Mapping[str, int]) -> dict[str, int]:
        outer = self._slots
        self._slots = {**outer, **names}
        return outer

    def _general_fold(self, node: Fold, range_: Step) -> Step:
        init, accumulator, one, two = self.build(node.init), self._slot(), self._slot(), self._slot()
        outer = self._scoped({node.accumulator: accumulator, node.variable: one, node.variable2: two})
        condition, step = self.build(node.condition), self.build(node.step)
        self._slots = {**outer, node.accumulator: accumulator}
        result = self.build(node.result)
        self._slots = outer
        is_double = bool(node.variable2)

        def run(frame: Frame) -> Any:
            values = range_(frame)
            frame[accumulator] = init(frame)
            for key, value in _pairs(values, is_double):
                frame[one], frame[two] = key, value
                if condition(frame) is False:
                    break
                frame[accumulator] = step(frame)
                if frame[0] > CALL_LIMIT:
                    raise CostExceeded
            return result(frame)

        return run

    def _quantifier(self, node: Fold, range_: Step) -> Step | None:
        """all and exists, by far the most common loops, without their accumulator."""
        step = node.step
        if not isinstance(step, Call) or step.function not in ("_&&_", "_||_"):
            return None
        variable = self._slot()
        outer = self._scoped({node.variable: variable, RESULT: 0})
        predicate = self.build(step.args[1])
        self._slots = outer
        return _loop(range_, predicate, variable, step.function == "_||_")


def _loop(range_: Step, predicate: Step, variable: int, decisive: bool) -> Step:
    around = 4 if decisive else 3  # what the accumulator and the condition cost

    def run(frame: Frame) -> bool:
        values = range_(frame)
        if not isinstance(values, list | dict):
            return bool(operators.no_overload())
        fault: EvalFault | None = None
        for value in values:
            frame[variable] = value
            frame[0] += around
            try:
                found: Any = predicate(frame)
                if bool(found is decisive):
                    frame[0] += 1
                    return decisive
                if not isinstance(found, bool):
                    operators.no_overload()
            except EvalFault as raised:
                fault = fault or raised
            if frame[0] > CALL_LIMIT:
                raise CostExceeded
        frame[0] += 1
        if fault is not None:
            raise fault
        return not decisive

    return run


def _pairs(values: Any, is_double: bool) -> Any:
    if isinstance(values, dict):
        return list(values.items())
    if isinstance(values, list):
        return enumerate(values) if is_double else [(value, None) for value in values]
    return operators.no_overload()


def _type_value(node: Node) -> Step:
    name = node.qualified if isinstance(node, Select) else node.name  # type: ignore[attr-defined]
    value = TypeName(name)
    return lambda frame: value


def _property(operand: Step, field: str) -> Step:
    """A property of a typed object. One that is null is not there."""

    def read(frame: Frame) -> Any:
        found = operand(frame)
        frame[0] += 1
        if type(found) is dict:
            value = found.get(field)
            if value is None:
                raise EvalFault(f"no such key: {field}")
            return value
        return operators.select(found, field)

    return read


def _presence(operand: Step, field: str, is_struct: bool) -> Step:
    def run(frame: Frame) -> bool:
        found = operand(frame)
        if is_struct and type(found) is dict:
            return found.get(field) is not None
        if type(found) is Optional:
            return operators.optional_select(found, field).has
        if type(found) is Struct or type(found) is Lazy:
            return field in found.fields
        if isinstance(found, list):
            raise EvalFault("unsupported index type 'string' in list")
        return field in found if isinstance(found, dict) else False

    return run


def _absorbing(left: Step, right: Step, decisive: bool) -> Step:
    """&& and ||: one operand may decide although the other has no value."""

    def run(frame: Frame) -> bool:
        try:
            one = left(frame)
            if bool(one is decisive):
                return decisive
            fault = None
            if not isinstance(one, bool):
                fault = EvalFault("no such overload")
        except EvalFault as raised:
            fault = raised
        two = right(frame) if fault is None else _second(right, frame, fault)
        if bool(two is decisive):
            return decisive
        if fault is not None:
            raise fault
        return two if isinstance(two, bool) else bool(operators.no_overload())

    return run


def _second(right: Step, frame: Frame, fault: EvalFault) -> Any:
    try:
        return right(frame)
    except EvalFault:
        raise fault from None


def _present(values: list[Any], optional: set[int]) -> list[Any]:
    return [v.value if i in optional else v for i, v in enumerate(values) if i not in optional or v.has]


def _called(function: Callable[..., Any], values: tuple[Any, ...]) -> Any:
    try:
        return function(*values)
    except (AttributeError, TypeError):
        # A value of another type than the function knows, which only `dyn` lets through the check.
        raise EvalFault("no such overload") from None


def _nominal(function: Callable[..., Any], arguments: list[Step], cost: int, slot: int) -> Step:
    """A call whose price is set by what it may lead to elsewhere, not by the time it takes here."""

    def run(frame: Frame) -> Any:
        values = tuple([argument(frame) for argument in arguments])
        frame[slot] += cost
        if frame[slot] > CALL_LIMIT:
            raise CostExceeded
        return _called(function, values)

    return run


def _plain(function: Callable[..., Any], arguments: list[Step]) -> Step:
    def run(frame: Frame) -> Any:
        values = tuple([argument(frame) for argument in arguments])
        frame[0] += 1
        return _called(function, values)

    return run


_BUILDS: dict[type, Any] = {
    Literal: _Builder.literal, Ident: _Builder.ident, Select: _Builder.select, Call: _Builder.call,
    ListLiteral: _Builder.list, MapLiteral: _Builder.map, Fold: _Builder.fold, StructLiteral: _Builder.struct,
}  # fmt: skip
_SPECIAL: dict[str, Any] = {
    "_&&_": _Builder.conjunction, "_||_": _Builder.disjunction, "_?_:_": _Builder.conditional,
    "!_": _Builder.negation, "_==_": _Builder.equals, "_!=_": _Builder.equals,
    "@not_strictly_false": _Builder.tolerant,
}  # fmt: skip
