"""Expressions of admission over one write: their variables' values, what they cost together, and how they fail.

An activation is one set of values; composited variables are found out when an expression first asks for them and are
kept for the others. Budgets are kube-apiserver's: they decide what is refused.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from kcpshard.admission.subject import Object, Subject
from kcpshard.cel.admission import Compiled
from kcpshard.cel.authorization import Authorizer
from kcpshard.cel.evaluation import CALL_LIMIT, CostExceeded
from kcpshard.cel.values import EvalFault, Lazy
from kcpshard.definitions.contract import Resource

BUDGET = 10_000_000  # of the expressions of one policy with one binding and parameter
CONDITIONS_BUDGET = 2_500_000  # of the matchConditions of one policy or webhook
_TOO_DEAR = "operation cancelled: actual cost limit exceeded"
_OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"


class OutOfBudget(Exception):
    """No further expression is looked at."""

    def __init__(self) -> None:
        super().__init__(_OUT_OF_BUDGET)


class Found(NamedTuple):
    """What an expression gave; `fault` says why it gave nothing."""

    value: Any
    fault: str = ""


class Versioned(NamedTuple):
    """A write in the version in which it was matched."""

    resource: Resource
    object: Object | None
    old: Object | None
    request: Object


def versioned(subject: Subject, matched: Resource) -> Versioned:
    attributes = subject.attributes
    return Versioned(
        matched, subject.at(attributes.object, matched), subject.at(attributes.old, matched), subject.request(matched)
    )


class Activation:
    """The values of one evaluation; `budget` is what is left."""

    def __init__(
        self, subject: Subject, write: Versioned, params: Object | None, namespace: Object | None, budget: int,
        variables: Mapping[str, Compiled], has_authorizer: bool = True,
    ) -> None:  # fmt: skip
        authorizer: Authorizer | None = subject.authorizer if has_authorizer else None
        check = subject.request_check if has_authorizer else None
        self.budget = budget
        self._variables = variables
        self._spent = 0  # on variables, since it was last looked at
        self._values = (
            write.object, write.old, params, write.request, namespace, authorizer, check, Lazy(variables, self._find),
        )  # fmt: skip

    def evaluate(self, compiled: Compiled) -> Found:
        """Raises OutOfBudget."""
        if compiled.program is None:
            return Found(None, f"compilation error: {compiled.fault}")
        fault = ""
        value = None
        try:
            value, cost = compiled.program.evaluate(*self._values)
        except CostExceeded:
            cost, fault = CALL_LIMIT + 1, _TOO_DEAR
        except EvalFault as raised:
            cost, fault = getattr(raised, "cost", 0), str(raised)
        self._spend(self._spent)
        self._spent = 0
        self._spend(cost)
        return Found(value, f"expression '{compiled.text}' resulted in error: {fault}" if fault else "")

    def _spend(self, cost: int) -> None:
        if cost > self.budget:
            raise OutOfBudget
        self.budget -= cost

    def _find(self, name: str) -> Any:
        compiled = self._variables[name]
        if compiled.program is None:
            raise EvalFault(f'composited variable "{name}" fails to compile: {compiled.fault}')
        try:
            value, cost = compiled.program.evaluate(*self._values)
        except CostExceeded:
            self._spent += CALL_LIMIT + 1
            raise EvalFault(f'composited variable "{name}" fails to evaluate: {_TOO_DEAR}') from None
        except EvalFault as fault:
            self._spent += getattr(fault, "cost", 0)
            raise EvalFault(f'composited variable "{name}" fails to evaluate: {fault}') from None
        self._spent += cost
        return value


class ConditionFault(Exception):
    """matchConditions that could not be evaluated, where that is a reason to refuse."""


def meets(activation: Activation, conditions: list[Compiled], is_failing_closed: bool) -> bool:
    """Whether all matchConditions hold. One that is false decides although others fail. Raises ConditionFault."""
    faults = []
    try:
        results = [activation.evaluate(condition) for condition in conditions]
    except OutOfBudget as fault:
        if is_failing_closed:
            raise ConditionFault(str(fault)) from None
        return False
    for found in results:
        if found.fault:
            faults.append(found.fault)
        elif found.value is False:
            return False
    if faults and is_failing_closed:
        distinct = list(dict.fromkeys(faults))
        raise ConditionFault(distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]")
    return not faults
