"""Webhooks over one write, mutating ones one after the other and validating ones all at once.

Decides whom to ask about what, and what an answer means; the asking itself is `webhook_calls`'. Everything here runs in
one loop turn: an answer that is not known yet ends it.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from kcpshard.admission.evaluation import CONDITIONS_BUDGET, Activation, ConditionFault, Versioned, meets, versioned
from kcpshard.admission.matching import resource_by_rules, takes_namespace, takes_object
from kcpshard.admission.reinvocation import Reinvocation
from kcpshard.admission.subject import Object, Subject
from kcpshard.admission.webhook_calls import Call, CallsWanted, Replay, Response, Undecodable, call_for, key_of
from kcpshard.admission.webhook_definitions import Webhook
from kcpshard.api import patches
from kcpshard.api.errors import ApiError, BadRequest, ForeignStatus, internal_error
from kcpshard.api.objects import are_same
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.kind_form import WrongForm, read_back

_PREFIX = "webhook.admission.k8s.io/"


class _Asked(NamedTuple):
    hook: Webhook
    write: Versioned
    response: Response


class Dispatch:
    """All webhooks of one write. What they say besides yes gathers in `warnings` and `annotations`."""

    def __init__(self, subject: Subject, replay: Replay) -> None:
        self._subject, self._replay = subject, replay
        self.warnings: list[str] = []
        self.annotations: dict[str, str] = {}

    # --- mutating

    def mutate(self, hooks: Iterable[Webhook], state: Reinvocation) -> None:
        """Change the write's object in place. Raises the refusal, or CallsWanted."""
        subject = self._subject
        state.webhooks.begin(state.is_second, subject.attributes.object)
        for place, hook in enumerate(hooks):
            matched = self._matched(hook)
            if matched is None or (state.is_second and not state.webhooks.is_wanted(hook.uid)):
                continue
            write = versioned(subject, matched)
            response, call = self._response(hook, write, state.round, True)
            if call is not None:
                raise CallsWanted(self._replay, [call], subject.cluster.id)
            assert response is not None
            changed = self._apply(_Asked(hook, write, response), f"round_{state.round}_index_{place}")
            if changed:
                state.webhooks.require()
                state.is_wanted = True
            if hook.is_reinvocable:
                state.webhooks.note(hook.uid)
        state.webhooks.end(subject.attributes.object)

    def _apply(self, asked: _Asked, where: str) -> bool:
        """Whether the webhook changed the object."""
        hook, write, response = asked
        changed = False
        try:
            if not self._passes(hook, response, f"failed-open.mutation.{_PREFIX}{where}"):
                return False
            new = self._patched(asked)
            if new is not None:
                changed = not are_same(new, write.object)
                patch = {"configuration": hook.configuration, "webhook": hook.name, "patch": response.patch,
                         "patchType": "JSONPatch"}  # fmt: skip
                self.annotations[f"patch.{_PREFIX}{where}"] = orjson.dumps(patch).decode()
                self._subject.replace(new)
            return changed
        finally:
            told = {"configuration": hook.configuration, "webhook": hook.name, "mutated": changed}
            self.annotations[f"mutation.{_PREFIX}{where}"] = orjson.dumps(told).decode()

    def _patched(self, asked: _Asked) -> Object | None:
        """The object as the webhook wants it; None if it wants no change."""
        hook, write, response = asked
        if isinstance(response.patch, Undecodable):
            text = f"received undecodable patch in webhook response: {response.patch.text}"
            self._failed(hook, f'failed calling webhook "{hook.name}": {text}')
            return None
        if not response.patch:
            return None
        if write.object is None:
            text = f'admission webhook "{hook.name}" attempted to modify the object, which is not supported for this '
            raise internal_error(f"{text}operation")
        if response.patch_type != "JSONPatch":
            text = f'failed calling webhook "{hook.name}": unsupported patch type "{response.patch_type}"'
            self._failed(hook, text)
            return None
        return self._read(write.resource, _patched(write.object, response.patch))

    def _read(self, resource: Resource, obj: Object) -> Object:
        form = self._subject.form(resource)
        if form is None:
            return obj
        try:
            read_back(form, obj)
        except WrongForm as fault:
            raise internal_error(str(fault)) from None
        form.strategy.default(obj)
        return obj

    # --- validating

    def validate(self, hooks: Iterable[Webhook]) -> None:
        """Raises the first refusal, or CallsWanted with all that are to be asked."""
        asked: list[tuple[Webhook, Response]] = []
        calls: list[Call] = []
        writes: dict[int, Versioned] = {}
        for hook in hooks:
            matched = self._matched(hook)
            if matched is None:
                continue
            write = writes.setdefault(id(matched), versioned(self._subject, matched))
            response, call = self._response(hook, write, 0, False)
            if call is not None:
                calls.append(call)
            elif response is not None:
                asked.append((hook, response))
        if calls:
            raise CallsWanted(self._replay, calls, self._subject.cluster.id)
        refusal: ApiError | None = None
        for place, (hook, response) in enumerate(asked):
            try:
                self._passes(hook, response, f"failed-open.validating.{_PREFIX}round_0_index_{place}")
            except ApiError as error:
                refusal = refusal or error
        if refusal is not None:
            raise refusal

    # --- both

    def _matched(self, hook: Webhook) -> Resource | None:
        """In which version the webhook is to see the write; None: not at all."""
        subject, spec = self._subject, hook.spec
        missing: ApiError | None = None
        try:
            if not takes_namespace(subject, spec.get("namespaceSelector")):
                return None
        except ApiError as error:
            missing = error
        if not takes_object(subject, spec.get("objectSelector")):
            return None
        found = resource_by_rules(subject, spec.get("rules") or (), spec.get("matchPolicy") == "Exact")
        if found is None:
            return None
        if missing is not None:
            raise missing
        if hook.conditions:
            activation = Activation(subject, versioned(subject, found), None, None, CONDITIONS_BUDGET, {})
            try:
                return found if meets(activation, hook.conditions, hook.is_failing_closed) else None
            except ConditionFault as fault:
                raise subject.refused(str(fault)) from None
        return found

    def _response(
        self, hook: Webhook, write: Versioned, round_: int, is_mutating: bool
    ) -> tuple[Response | None, Call | None]:
        """What the webhook has said about this write, or what it is to be asked."""
        attributes = self._subject.attributes
        if attributes.dry_run and hook.spec.get("sideEffects") not in ("None", "NoneOnDryRun"):
            raise BadRequest(f'admission webhook "{hook.name}" does not support dry run')
        key = key_of(
            hook, f"mutating {round_}" if is_mutating else "validating", attributes.operation, write.object, write.old
        )
        found = self._replay.answers.get(key)
        if found is not None:
            return found, None
        request = {**write.request, "object": write.object, "oldObject": write.old}
        return None, call_for(hook, key, is_mutating, request)

    def _passes(self, hook: Webhook, response: Response, failed_open: str) -> bool:
        """Whether the webhook has answered, and not with no. Raises the refusal."""
        if response.fault:
            self._failed(hook, response.fault)
            self.annotations[failed_open] = hook.name
            return False
        self.warnings += response.warnings
        self.annotations.update((f"{hook.name}/{key}", value) for key, value in response.annotations)
        if not response.is_allowed:
            raise _refusal(hook.name, response.status)
        return True

    def _failed(self, hook: Webhook, text: str) -> None:
        """Nothing usable came back: a refusal, unless failures are ignored."""
        if hook.is_failing_closed:
            raise internal_error(text)


def _patched(obj: Object, steps: Any) -> Object:
    try:
        found = patches.apply_json_patch(orjson.loads(orjson.dumps(obj)), patches.parse_json_patch(steps))
    except patches.PatchFault as fault:
        raise internal_error(str(fault)) from None
    if not isinstance(found, dict) or patches.is_too_deep(found):
        raise internal_error("the patched object is none")
    return found


def _refusal(name: str, given: Any) -> ForeignStatus:
    """What the webhook answered, as a refusal: whatever it says, it is no success."""
    status: Object = dict(given) if isinstance(given, dict) else {}
    denied = f'admission webhook "{name}" denied the request'
    code = status.get("code")
    status["code"] = code if isinstance(code, int) and code >= 400 else 400
    if status.get("status") in (None, "", "Success"):
        status["status"] = "Failure"
    if status.get("message"):
        status["message"] = f"{denied}: {status['message']}"
    elif status.get("reason"):
        status["message"] = f"{denied}: {status['reason']}"
    else:
        status["message"] = f"{denied} without explanation"
    return ForeignStatus({"metadata": {}, **status, "kind": "Status", "apiVersion": "v1"})
