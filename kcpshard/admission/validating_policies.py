"""ValidatingAdmissionPolicies over one write: what is refused, warned of and written into the audit record.

Decides as kube-apiserver does: of several refusals the first is the answer; a policy that cannot be evaluated refuses
unless its failurePolicy is Ignore, and then only where its binding's actions say Deny.
"""

from collections.abc import Iterable
from typing import NamedTuple

import orjson

from kcpshard.admission.attributes import NOTHING, Notes
from kcpshard.admission.evaluation import (
    BUDGET,
    CONDITIONS_BUDGET,
    Activation,
    ConditionFault,
    OutOfBudget,
    Versioned,
    meets,
    versioned,
)
from kcpshard.admission.matching import matched_resource
from kcpshard.admission.parameters import ConfigurationFault, param_resource, parameters
from kcpshard.admission.policy_definitions import Annotation, Policy, ValidatingPolicy, Validation
from kcpshard.admission.subject import Object, Subject
from kcpshard.api.errors import ApiError, Cause
from kcpshard.cel.values import type_name
from kcpshard.definitions.contract import Resource

_LONGEST_MESSAGE, _LONGEST_ANNOTATION = 5 * 1024, 10 * 1024
_FAILURE = "validation.policy.admission.k8s.io/validation_failure"
_CODES = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413}


class _Refusal(NamedTuple):
    policy: str
    binding: str  # empty: the policy itself cannot be used
    message: str
    reason: str = ""


class _Decision(NamedTuple):
    """What one validation said; an empty message: nothing against the write. `is_fault`: it has no value."""

    message: str = ""
    reason: str = ""


class _Run:
    """All policies over one write."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.refusals: list[_Refusal] = []
        self.warnings: list[str] = []
        self.annotations: dict[str, str] = {}

    def policy(self, policy: ValidatingPolicy) -> None:
        subject = self.subject
        try:
            matched = matched_resource(subject, policy.match)
            if matched is None:
                return
            resource = param_resource(subject, policy)
        except (ApiError, ConfigurationFault) as fault:
            self._misconfigured(policy, "", str(fault))
            return
        collected: dict[str, list[str]] = {}
        write: Versioned | None = None
        for binding in policy.bindings:
            try:
                if not self._is_bound(binding):
                    continue
                found = parameters(subject, resource, binding["spec"].get("paramRef"))
            except (ApiError, ConfigurationFault) as fault:
                self._misconfigured(policy, binding["metadata"]["name"], str(fault))
                continue
            if found and write is None:
                write = versioned(subject, matched)
            for params in found:
                assert write is not None
                _Evaluation(self, policy, binding, write, params, collected).run()
        for key, values in collected.items():
            self.annotations[f"{policy.name}/{key}"] = ", ".join(values)

    def _is_bound(self, binding: Object) -> bool:
        match = binding["spec"].get("matchResources")
        return match is None or matched_resource(self.subject, match) is not None

    def _misconfigured(self, policy: Policy, binding: str, fault: str) -> None:
        if policy.is_failing_closed:
            what = "binding" if binding else "policy"
            self.refusals.append(_Refusal(policy.name, binding, f"failed to configure {what}: {fault}"))

    def check(self) -> None:
        """Raise if anything was refused."""
        if not self.refusals:
            return
        first = self.refusals[0]
        where = f" with binding '{first.binding}'" if first.binding else ""
        message = f"ValidatingAdmissionPolicy '{first.policy}'{where} denied request: {first.message}"
        error = self.subject.refused(message)
        error.reason = first.reason or "Invalid"
        error.code = _CODES.get(error.reason, 422)
        error.causes = (Cause("", message),)
        raise error


class _Evaluation:
    """One policy with one binding and one parameter."""

    def __init__(
        self, run: _Run, policy: ValidatingPolicy, binding: Object, write: Versioned, params: Object | None,
        collected: dict[str, list[str]],
    ) -> None:  # fmt: skip
        self._run, self._policy, self._write, self._params = run, policy, write, params
        self._name: str = binding["metadata"]["name"]
        self._binding, self._collected = binding, collected
        self._namespace = run.subject.namespace_object()

    def run(self) -> None:
        for place, decision in enumerate(self._decisions()):
            if decision.message:
                self._act(place, decision)

    def _act(self, place: int, decision: _Decision) -> None:
        run, policy = self._run, self._policy
        actions = self._binding["spec"].get("validationActions") or ()
        for action in actions:
            if action == "Deny":
                run.refusals.append(_Refusal(policy.name, self._name, decision.message, decision.reason))
            elif action == "Audit":
                failure = {
                    "message": decision.message, "policy": policy.name, "binding": self._name,
                    "expressionIndex": place, "validationActions": list(actions),
                }  # fmt: skip
                run.annotations.setdefault(_FAILURE, orjson.dumps([failure]).decode())
            elif action == "Warn":
                run.warnings.append(
                    f"Validation failed for ValidatingAdmissionPolicy '{policy.name}' with binding '{self._name}': "
                    f"{decision.message}"
                )

    def _activation(self, budget: int, has_authorizer: bool = True, namespace: bool = True) -> Activation:
        return Activation(
            self._run.subject, self._write, self._params, self._namespace if namespace else None, budget,
            self._policy.program.variables, has_authorizer,
        )  # fmt: skip

    def _decisions(self) -> Iterable[_Decision]:
        program, policy = self._policy.program, self._policy
        try:
            if program.conditions:
                activation = self._activation(CONDITIONS_BUDGET, namespace=False)
                if not meets(activation, program.conditions, policy.is_failing_closed):
                    return []
            decisions = self._validated(program.validations)
            self._annotate(program.annotations)
        except (ConditionFault, OutOfBudget) as fault:
            return [self._failed(str(fault))]
        return decisions

    def _failed(self, text: str) -> _Decision:
        return _Decision(text if self._policy.is_failing_closed else "")

    def _validated(self, validations: list[Validation]) -> list[_Decision]:
        activation = self._activation(BUDGET)
        results = [activation.evaluate(validation.expression) for validation in validations]
        messages, broken = self._messages(validations, activation.budget)
        found = []
        for validation, result, message in zip(validations, results, messages, strict=True):
            if result.fault:
                found.append(self._failed(result.fault))
            elif broken:
                found.append(self._failed(f"failed messageExpression: {broken}"))
            elif result.value is not True:
                text = message or validation.message or f"failed expression: {validation.expression.text.strip()}"
                found.append(_Decision(text, validation.reason))
            else:
                found.append(_Decision())
        return found

    def _messages(self, validations: list[Validation], budget: int) -> tuple[list[str], str]:
        """What the messageExpressions say, as far as that can be used; and why none could be evaluated."""
        activation = self._activation(budget, has_authorizer=False)
        found = []
        for validation in validations:
            expression = validation.message_expression
            try:
                found.append(_usable(activation.evaluate(expression).value) if expression is not None else "")
            except OutOfBudget as fault:
                return [""] * len(validations), str(fault)
        return found, ""

    def _annotate(self, annotations: list[Annotation]) -> None:
        activation = self._activation(BUDGET)
        for annotation in annotations:
            result = activation.evaluate(annotation.value)
            fault = result.fault if self._policy.is_failing_closed else ""
            value = result.value
            if not result.fault and value is not None and not isinstance(value, str):
                fault = (
                    f"valueExpression '{annotation.text}' resulted in unsupported return type: {type_name(value)}. "
                    "Return type must be either string or null."
                )
            if fault:
                self._run.refusals.append(_Refusal(self._policy.name, self._name, fault))
            elif isinstance(value, str) and (text := value.strip()):
                cut = text.encode()[:_LONGEST_ANNOTATION].decode(errors="ignore")
                values = self._collected.setdefault(annotation.key, [])
                if cut not in values:
                    values.append(cut)


def _usable(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    return "" if "\n" in text or len(text.encode()) > _LONGEST_MESSAGE else text


def validate(subject: Subject, policies: Iterable[Policy]) -> Notes:
    """Raises the refusal."""
    run = _Run(subject)
    try:
        for policy in policies:
            assert isinstance(policy, ValidatingPolicy)
            run.policy(policy)
        run.check()
    except ApiError as error:
        error.warnings = [*error.warnings, *run.warnings]
        raise
    if not run.warnings and not run.annotations:
        return NOTHING
    return NOTHING.plus(run.warnings, run.annotations)


__all__ = ["Resource", "validate"]
