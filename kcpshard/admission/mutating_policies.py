"""MutatingAdmissionPolicies over one write. Which apply is decided before the first of them changes anything."""

from collections.abc import Iterable
from typing import NamedTuple

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
from kcpshard.admission.policy_definitions import MutatingPolicy, Mutation, Policy
from kcpshard.admission.policy_patches import MutationFault, merged, patched
from kcpshard.admission.reinvocation import Reinvocation
from kcpshard.admission.subject import Object, Subject, kind_of
from kcpshard.api.errors import ApiError, Cause, internal_error
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.kind_form import WrongForm, read_back


class _Fault(NamedTuple):
    policy: MutatingPolicy
    binding: str
    message: str
    reason: str = ""

    def __str__(self) -> str:
        if self.binding:
            return f"policy '{self.policy.name}' with binding '{self.binding}' denied request: {self.message}"
        return f'policy "{self.policy.name}" denied request: {self.message}'


class _Invocation(NamedTuple):
    policy: MutatingPolicy
    binding: str
    matched: Resource
    params: Object | None

    @property
    def key(self) -> str:
        meta = (self.params or {}).get("metadata") or {}
        return f"{self.policy.name}/{self.binding}/{meta.get('namespace', '')}/{meta.get('name', '')}"


def mutate(subject: Subject, policies: Iterable[Policy], state: Reinvocation) -> None:
    """Change the write's object in place. Raises the refusal."""
    faults: list[_Fault] = []
    invocations = [found for policy in policies for found in _invocations(subject, policy, faults)]
    obj = subject.attributes.object
    state.policies.begin(state.is_second, obj)
    namespace = subject.namespace_object() if invocations else None
    for invocation in invocations:
        _invoke(subject, invocation, namespace, state, faults)
    state.policies.end(obj)
    _check(subject, [fault for fault in faults if fault.policy.is_failing_closed])


def _invocations(subject: Subject, policy: Policy, faults: list[_Fault]) -> Iterable[_Invocation]:
    assert isinstance(policy, MutatingPolicy)
    try:
        matched = matched_resource(subject, policy.match)
        if matched is None:
            return
        resource = param_resource(subject, policy)
    except (ApiError, ConfigurationFault) as fault:
        faults.append(_Fault(policy, "", f"failed to configure policy: {fault}"))
        return
    for binding in policy.bindings:
        name, spec = binding["metadata"]["name"], binding["spec"]
        try:
            match = spec.get("matchResources")
            if match is not None and matched_resource(subject, match) is None:
                continue
            found = parameters(subject, resource, spec.get("paramRef"))
        except (ApiError, ConfigurationFault) as fault:
            faults.append(_Fault(policy, name, f"failed to configure binding: {fault}"))
            continue
        for params in found:
            yield _Invocation(policy, name, matched, params)


def _invoke(
    subject: Subject, invocation: _Invocation, namespace: Object | None, state: Reinvocation, faults: list[_Fault]
) -> None:
    policy, program = invocation.policy, invocation.policy.program
    write = versioned(subject, invocation.matched)
    try:
        conditions = Activation(subject, write, invocation.params, None, CONDITIONS_BUDGET, program.variables)
        if program.conditions and not meets(conditions, program.conditions, policy.is_failing_closed):
            return
    except ConditionFault as fault:
        faults.append(_Fault(policy, invocation.binding, str(fault), "Invalid"))
        return
    if state.is_second and not state.policies.is_wanted(invocation.key):
        return
    if write.object is None:
        return
    before = write.object
    for mutation in program.mutations:
        try:
            write = write._replace(object=_mutated(subject, invocation, write, namespace, mutation))
        except (MutationFault, OutOfBudget) as fault:
            faults.append(_Fault(policy, invocation.binding, str(fault), "Invalid"))
    assert write.object is not None
    if write.object != before:
        subject.replace(write.object)
        state.policies.require()
        state.is_wanted = True
    if policy.is_reinvocable:
        state.policies.note(invocation.key)


def _mutated(
    subject: Subject, invocation: _Invocation, write: Versioned, namespace: Object | None, mutation: Mutation
) -> Object:
    program, obj = invocation.policy.program, write.object
    assert obj is not None
    if mutation.expression.program is None:
        raise MutationFault(mutation.expression.fault)
    activation = Activation(subject, write, invocation.params, namespace, BUDGET, program.variables)
    found = activation.evaluate(mutation.expression)
    if found.fault:
        raise MutationFault(found.fault)
    if write.resource.group != subject.resource.group:
        # kube-apiserver brings what was changed into the request's version, which another group has not.
        kind = f"{write.resource.version}.{write.resource.kind}"
        text = (
            f'is not suitable for converting to "{subject.resource.api_version}" in scheme "pkg/runtime/scheme.go:111"'
        )
        raise MutationFault(f"{kind} {text}")
    form = subject.form(write.resource)
    if mutation.is_json_patch:
        new = patched(obj, found.value)
    elif form is not None and form.api_version == write.resource.api_version:
        new = merged(form, obj, found.value)
    else:  # which the documents of the resource's own version do not describe
        group, version, kind = kind_of(write.resource, subject.attributes.subresource)
        text = f"no corresponding type for {group}/{version}, Kind={kind}"
        raise MutationFault(f"error applying patch: failed to convert patch object to typed object: {text}")
    if new is obj:
        return obj
    if form is not None:
        try:
            read_back(form, new, strictly=mutation.is_json_patch)
        except WrongForm as fault:
            raise internal_error(str(fault)) from None
        form.strategy.default(new)
    return new


def _check(subject: Subject, faults: list[_Fault]) -> None:
    """Raise what the first of them says, and name them all."""
    if not faults:
        return
    error = subject.refused("")
    error.message, error.args = str(faults[0]), (str(faults[0]),)
    if faults[0].reason:
        error.reason = faults[0].reason
    error.causes = [Cause("", str(fault)) for fault in faults]
    raise error
