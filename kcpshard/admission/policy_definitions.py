"""Admission policies as programs. Compiled when a write first meets them, kept until the policy changes."""

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from kcpshard.cel.admission import (
    IS_BOOL,
    IS_JSON_PATCH,
    IS_OBJECT,
    IS_STRING,
    IS_STRING_OR_NULL,
    Compiled,
    compiled,
    declarations,
    variable_type,
)
from kcpshard.cel.types import DYN, Type

Object = dict[str, Any]


class Policy:
    """What both kinds have: where it applies, its parameters, its bindings."""

    def __init__(self, obj: Object) -> None:
        self.name: str = obj["metadata"]["name"]
        self.spec: Object = obj.get("spec") or {}
        self.match: Object = self.spec.get("matchConstraints") or {}
        self.param_kind: Object | None = self.spec.get("paramKind")
        self.is_failing_closed = self.spec.get("failurePolicy") != "Ignore"
        self.bindings: list[Object] = []
        self._lazy: list[Any] = []  # one entry once compiled; shared by the copies for other bindings

    def bound_by(self, bindings: list[Object]) -> Self:
        found = copy.copy(self)
        found.bindings = bindings
        return found


class _Environment:
    """Compiles one policy's expressions; each variable is known to those after it."""

    def __init__(self, spec: Object) -> None:
        self._has_params = spec.get("paramKind") is not None
        self._types: dict[str, Type] = {}
        self.variables: dict[str, Compiled] = {}
        for variable in spec.get("variables") or ():
            found = self.compile(variable["expression"])
            self.variables[variable["name"]] = found
            self._types[variable["name"]] = variable_type(found.result) if found.program else DYN

    def compile(
        self, text: str, wanted: tuple[Type, ...] = (), *, has_authorizer: bool = True, makes_patches: bool = False
    ) -> Compiled:
        declared = declarations(self._has_params, has_authorizer, self._types)
        return compiled(text, declared, wanted, makes_patches=makes_patches)

    def conditions(self, spec: Object) -> list[Compiled]:
        return [self.compile(c["expression"], IS_BOOL) for c in spec.get("matchConditions") or ()]


class Validation(NamedTuple):
    expression: Compiled
    message: str
    message_expression: Compiled | None
    reason: str


class Annotation(NamedTuple):
    key: str
    text: str
    value: Compiled


class ValidatingProgram(NamedTuple):
    variables: Mapping[str, Compiled]
    conditions: list[Compiled]
    validations: list[Validation]
    annotations: list[Annotation]


class ValidatingPolicy(Policy):
    @property
    def program(self) -> ValidatingProgram:
        if not self._lazy:
            self._lazy.append(_validating(self.spec))
        found: ValidatingProgram = self._lazy[0]
        return found


def _validating(spec: Object) -> ValidatingProgram:
    made = _Environment(spec)
    return ValidatingProgram(
        made.variables,
        made.conditions(spec),
        [_validation(made, v) for v in spec.get("validations") or ()],
        [
            Annotation(a["key"], a["valueExpression"], made.compile(a["valueExpression"].strip(), IS_STRING_OR_NULL))
            for a in spec.get("auditAnnotations") or ()
        ],
    )


def _validation(made: _Environment, given: Object) -> Validation:
    shown = given.get("messageExpression")
    return Validation(
        made.compile(given["expression"], IS_BOOL),
        (given.get("message") or "").strip(),
        made.compile(shown, IS_STRING, has_authorizer=False) if shown else None,
        given.get("reason") or "Invalid",
    )


class Mutation(NamedTuple):
    is_json_patch: bool
    expression: Compiled


class MutatingProgram(NamedTuple):
    variables: Mapping[str, Compiled]
    conditions: list[Compiled]
    mutations: list[Mutation]


class MutatingPolicy(Policy):
    @property
    def is_reinvocable(self) -> bool:
        return self.spec.get("reinvocationPolicy") == "IfNeeded"

    @property
    def program(self) -> MutatingProgram:
        if not self._lazy:
            made = _Environment(self.spec)
            conditions = made.conditions(self.spec)
            self._lazy.append(
                MutatingProgram(made.variables, conditions, [_mutation(made, m) for m in self.spec["mutations"]])
            )
        found: MutatingProgram = self._lazy[0]
        return found


def _mutation(made: _Environment, given: Object) -> Mutation:
    is_json_patch = given["patchType"] == "JSONPatch"
    text = given["jsonPatch" if is_json_patch else "applyConfiguration"]["expression"]
    wanted = IS_JSON_PATCH if is_json_patch else IS_OBJECT
    return Mutation(is_json_patch, made.compile(text, wanted, makes_patches=True))
