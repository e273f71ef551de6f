"""Webhook configurations and admission policies with their bindings: defaults, and every fault in them.

Expressions are compiled here with the variables that they will see, so that what is stored can be evaluated.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from kcpshard.api.errors import FieldError, duplicate, forbidden, invalid, not_supported, required, too_many
from kcpshard.api.names import dns_label_faults, dns_subdomain_faults, path_segment_faults
from kcpshard.cel import admission as environment
from kcpshard.cel.admission import IS_BOOL, IS_JSON_PATCH, IS_OBJECT, IS_STRING, IS_STRING_OR_NULL, declarations
from kcpshard.cel.syntax import RESERVED
from kcpshard.cel.types import DYN, Type
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.pod_defaults import fill_absent
from kcpshard.definitions.strategies import Rules

Faults = Iterator[FieldError]
GROUP = "admissionregistration.k8s.io"
MOST_CONDITIONS, MOST_ANNOTATIONS, LONGEST_ANNOTATION = 64, 20, 5 * 1024
_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_MUTATING = ("*", "CONNECT", "CREATE", "UPDATE")
_REVIEWS = ("v1", "v1beta1")
_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_RESERVED = RESERVED | {"true", "false", "null", "in"}
_NEWLINE = re.compile(r"[\n\r]")
_FORM = "; desired format: https://host[/path]"


# --- defaults


def _default_hooks(obj: Object) -> None:
    for hook in obj.get("webhooks") or ():
        fill_absent(hook, failurePolicy="Fail", matchPolicy="Equivalent", timeoutSeconds=10)
        _default_selectors(hook)
        if obj["kind"] == "MutatingWebhookConfiguration":
            fill_absent(hook, reinvocationPolicy="Never")
        for rule in hook.get("rules") or ():
            fill_absent(rule, scope="*")
        if (service := (hook.get("clientConfig") or {}).get("service")) is not None:
            fill_absent(service, port=443)


def _default_selectors(match: Object) -> None:
    for member in ("namespaceSelector", "objectSelector"):
        if match.get(member) is None:
            match[member] = {}


def _default_policy(obj: Object) -> None:
    spec = obj["spec"] = obj.get("spec") or {}
    if not obj["kind"].endswith("Binding"):
        fill_absent(spec, failurePolicy="Fail")
    for member in ("matchConstraints", "matchResources"):
        if (match := spec.get(member)) is not None:
            fill_absent(match, matchPolicy="Equivalent")
            _default_selectors(match)
            for rule in [*(match.get("resourceRules") or ()), *(match.get("excludeResourceRules") or ())]:
                fill_absent(rule, scope="*")


# --- webhooks


def _hooks(obj: Object) -> Faults:
    names: set[str] = set()
    for place, hook in enumerate(obj.get("webhooks") or ()):
        path, name = f"webhooks[{place}]", hook.get("name", "")
        yield from _hook_name_faults(f"{path}.name", name)
        yield from _hook_faults(hook, path, "reinvocationPolicy" in hook)
        yield from _review_version_faults(hook.get("admissionReviewVersions") or (), f"{path}.admissionReviewVersions")
        if name and name in names:
            yield duplicate(f"{path}.name", name)
        names.add(name)


def _hook_name_faults(path: str, name: str) -> Faults:
    if not name:
        yield required(path)
    elif faults := dns_subdomain_faults(name):
        yield invalid(path, name, ",".join(faults))
    elif name.count(".") < 2:
        yield invalid(path, name, "should be a domain with at least three segments separated by dots")


def _hook_faults(hook: Object, path: str, is_mutating: bool) -> Faults:
    for place, rule in enumerate(hook.get("rules") or ()):
        yield from _rule_faults(rule, f"{path}.rules[{place}]")
    yield from _one_of(f"{path}.failurePolicy", hook["failurePolicy"], ("Fail", "Ignore"))
    yield from _one_of(f"{path}.matchPolicy", hook["matchPolicy"], ("Equivalent", "Exact"))
    effects = hook.get("sideEffects")
    if effects is None:
        yield required(f"{path}.sideEffects", "must specify one of None, NoneOnDryRun")
    else:
        yield from _one_of(f"{path}.sideEffects", effects, ("None", "NoneOnDryRun"))
    if not 1 <= hook["timeoutSeconds"] <= 30:
        text = "the timeout value must be between 1 and 30 seconds"
        yield invalid(f"{path}.timeoutSeconds", hook["timeoutSeconds"], text)
    for member in ("namespaceSelector", "objectSelector"):
        yield from checks.selector(f"{path}.{member}", hook[member])
    if is_mutating:
        yield from _one_of(f"{path}.reinvocationPolicy", hook["reinvocationPolicy"], ("IfNeeded", "Never"))
    yield from _client_faults(hook.get("clientConfig") or {}, f"{path}.clientConfig")
    yield from _condition_faults(hook.get("matchConditions") or (), declarations(False), f"{path}.matchConditions")


def _client_faults(config: Object, path: str) -> Faults:
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        yield required(path, "exactly one of url or service is required")
    elif url is not None:
        yield from _url_faults(f"{path}.url", url)
    else:
        assert service is not None
        yield from _service_faults(f"{path}.service", service)


_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2}).{0,2}")


def _url_faults(path: str, url: str) -> Faults:
    try:
        if escape := _BAD_ESCAPE.search(url):
            raise ValueError(f'parse "{url}": invalid URL escape "{escape[0]}"')
        parts = urlsplit(url)
        has_user = parts.username is not None
    except ValueError as fault:
        yield required(path, f"url must be a valid URL: {fault}{_FORM}")
        return
    if parts.scheme != "https":
        yield invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{_FORM}")
    if not parts.netloc:
        yield invalid(path, "", f"host must be specified{_FORM}")
    if has_user:
        yield invalid(path, parts.netloc.rpartition("@")[0], "user information is not permitted in the URL")
    if parts.fragment:
        yield invalid(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield invalid(path, parts.query, "query parameters are not permitted in the URL")


def _service_faults(path: str, service: Object) -> Faults:
    for member, shown in (("namespace", "name"), ("name", "namespace")):  # mixed up by kube-apiserver
        if not service.get(member):
            yield required(f"{path}.{shown}")
    if not 1 <= service["port"] <= 65535:
        yield invalid(f"{path}.port", service["port"], "port is not valid: must be between 1 and 65535, inclusive")
    way = service.get("path")
    if way in (None, "", "/"):
        return
    if way == "//":
        yield invalid(f"{path}.path", way, "segment[0] may not be empty")
        return
    if not way.startswith("/"):
        yield invalid(f"{path}.path", way, "must start with a '/'")
    for place, step in enumerate(way[1:].removesuffix("/").split("/")):
        if not step:
            yield invalid(f"{path}.path", way, f"segment[{place}] may not be empty")
        else:
            yield from (invalid(f"{path}.path", way, f"segment[{place}]: {f}") for f in dns_subdomain_faults(step))


def _review_version_faults(versions: Sequence[str], path: str) -> Faults:
    if not versions:
        yield required(path, "must specify one of v1, v1beta1")
        return
    seen: set[str] = set()
    for place, version in enumerate(versions):
        if version in seen:
            yield invalid(f"{path}[{place}]", version, "duplicate version")
            continue
        seen.add(version)
        yield from (invalid(f"{path}[{place}]", version, text) for text in _dns1035_faults(version))
    if not seen & set(_REVIEWS):
        yield invalid(path, versions, "must include at least one of v1, v1beta1")


def _dns1035_faults(value: str) -> list[str]:
    if len(value) <= 63 and re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", value):
        return []
    found = dns_label_faults(value)
    long = [text for text in found if "no more than" in text]
    if re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", value):
        return long
    return [
        *long,
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
        "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation "
        "is '[a-z]([-a-z0-9]*[a-z0-9])?')",
    ]


# --- rules


def _one_of(path: str, value: str, supported: Sequence[str]) -> Faults:
    if value not in supported:
        yield not_supported(path, value, supported)


def _rule_faults(rule: Object, path: str) -> Faults:
    operations = rule.get("operations") or ()
    if not operations:
        yield required(f"{path}.operations")
    if len(operations) > 1 and "*" in operations:
        yield invalid(f"{path}.operations", operations, "if '*' is present, must not specify other operations")
    for place, operation in enumerate(operations):
        yield from _one_of(f"{path}.operations[{place}]", operation, _OPERATIONS)
    for member, word in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values = rule.get(member) or ()
        if not values:
            yield required(f"{path}.{member}")
        if len(values) > 1 and "*" in values:
            yield invalid(f"{path}.{member}", values, f"if '*' is present, must not specify other {word}")
    for place, version in enumerate(rule.get("apiVersions") or ()):
        if not version:
            yield required(f"{path}.apiVersions[{place}]")
    yield from _resource_faults(rule.get("resources") or (), f"{path}.resources")
    yield from _one_of(f"{path}.scope", rule["scope"], ("*", "Cluster", "Namespaced"))


def _resource_faults(resources: Sequence[str], path: str) -> Faults:
    if not resources:
        yield required(path)
    whole: set[str] = set()  # of x/*
    everywhere: set[str] = set()  # of */x
    is_single = has_plain = False
    for place, name in enumerate(resources):
        if not name:
            yield required(f"{path}[{place}]")
            continue
        is_single = is_single or name == "*"
        resource, slash, subresource = name.partition("/")
        if not slash:
            has_plain = name != "*"
            continue
        if resource in whole:
            yield invalid(f"{path}[{place}]", name, f"if '{resource}/*' is present, must not specify {name}")
        if subresource in everywhere:
            yield invalid(f"{path}[{place}]", name, f"if '*/{subresource}' is present, must not specify {name}")
        if subresource == "*":
            whole.add(resource)
        if resource == "*":
            everywhere.add(subresource)
    if len(resources) > 1 and "*/*" in resources:
        yield invalid(path, resources, "if '*/*' is present, must not specify other resources")
    if is_single and has_plain:
        text = "if '*' is present, must not specify other resources without subresources"
        yield invalid(path, resources, text)


def _match_faults(match: Object, path: str) -> Faults:
    yield from _one_of(f"{path}.matchPolicy", match["matchPolicy"], ("Equivalent", "Exact"))
    for member in ("namespaceSelector", "objectSelector"):
        yield from checks.selector(f"{path}.{member}", match[member])
    for member in ("resourceRules", "excludeResourceRules"):
        for place, rule in enumerate(match.get(member) or ()):
            yield from _named_rule_faults(rule, f"{path}.{member}[{place}]")


def _named_rule_faults(rule: Object, path: str) -> Faults:
    seen: set[str] = set()
    for place, name in enumerate(rule.get("resourceNames") or ()):
        here = f"{path}.resourceNames[{place}]"
        yield from (invalid(here, name, text) for text in path_segment_faults(name))
        if name in seen:
            yield duplicate(here, name)
        seen.add(name)
    yield from _rule_faults(rule, path)


# --- expressions


def _expression_faults(
    text: str, declared: Mapping[str, Type], wanted: tuple[Type, ...], path: str, makes_patches: bool = False
) -> Faults:
    found = environment.compiled(text, declared, wanted, makes_patches=makes_patches)
    if found.is_internal:
        yield FieldError(path, "InternalError", f"Internal error: {found.fault}")
    elif found.fault:
        yield invalid(path, text, found.fault)


def _condition_faults(conditions: Sequence[Object], declared: Mapping[str, Type], path: str) -> Faults:
    if len(conditions) > MOST_CONDITIONS:
        yield too_many(path, len(conditions), MOST_CONDITIONS)
    seen: set[str] = set()
    for place, condition in enumerate(conditions):
        here, text, name = f"{path}[{place}]", condition.get("expression", "").strip(), condition.get("name", "")
        if not text:
            yield required(f"{here}.expression")
        else:
            yield from _expression_faults(text, declared, IS_BOOL, f"{here}.expression")
        if not name:
            yield required(f"{here}.name")
            continue
        yield from checks.qualified_name(f"{here}.name", name)
        if name in seen:
            yield duplicate(f"{here}.name", name)
        seen.add(name)


class _Composition:
    """The environment of a policy's expressions, which grows with each of its variables."""

    def __init__(self, spec: Object) -> None:
        self.has_params = spec.get("paramKind") is not None
        self._variables: dict[str, Type] | None = {} if spec.get("variables") else None

    def declared(self, has_authorizer: bool = True, has_params: bool | None = None) -> dict[str, Type]:
        return declarations(self.has_params if has_params is None else has_params, has_authorizer, self._variables)

    def variable_faults(self, variables: Sequence[Object]) -> Faults:
        for place, variable in enumerate(variables):
            here, name, text = f"spec.variables[{place}]", variable.get("name", ""), variable.get("expression", "")
            if not name.strip():
                yield required(f"{here}.name", "name is not specified")
            elif not _IDENTIFIER.fullmatch(name) or name in _RESERVED:
                yield invalid(f"{here}.name", name, "must be a valid CEL identifier")
            if not text.strip():
                yield required(f"{here}.expression", "expression is not specified")
                continue
            found = environment.compiled(text, self.declared())
            assert self._variables is not None
            self._variables[name] = environment.variable_type(found.result) if found.program else DYN
            if found.fault:
                yield invalid(f"{here}.expression", text, found.fault)


# --- policies


def _common_faults(spec: Object) -> Faults:
    yield from _one_of("spec.failurePolicy", spec["failurePolicy"], ("Fail", "Ignore"))
    if (kind := spec.get("paramKind")) is not None:
        yield from _param_kind_faults(kind)
    if (match := spec.get("matchConstraints")) is None:
        yield required("spec.matchConstraints")
        return
    yield from _match_faults(match, "spec.matchConstraints")
    if not match.get("resourceRules"):
        yield required("spec.matchConstraints.resourceRules")


def _param_kind_faults(given: Object) -> Faults:
    version, kind, path = given.get("apiVersion", ""), given.get("kind", ""), "spec.paramKind"
    if not version:
        yield required(f"{path}.apiVersion")
    elif version.count("/") > 1:
        yield invalid(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}")
    else:
        group, _, name = version.rpartition("/")
        if group and (faults := dns_subdomain_faults(group)):
            yield invalid(f"{path}.apiVersion", group, ",".join(faults))
        if not name:
            yield invalid(f"{path}.apiVersion", version, "version must be specified")
        elif faults := _dns1035_faults(name):
            yield invalid(f"{path}.apiVersion", name, ",".join(faults))
    if not kind:
        yield required(f"{path}.kind")
    elif faults := _dns1035_faults(kind.lower()):
        yield invalid(f"{path}.kind", kind, "may have mixed case, but should otherwise match: " + ",".join(faults))


def _validating_policy(obj: Object) -> Faults:
    spec = obj.get("spec") or {}
    composition = _Composition(spec)
    yield from _common_faults(spec)
    declared = declarations(composition.has_params)
    yield from _condition_faults(spec.get("matchConditions") or (), declared, "spec.matchConditions")
    yield from composition.variable_faults(spec.get("variables") or ())
    validations, annotations = spec.get("validations") or (), spec.get("auditAnnotations") or ()
    if not validations and not annotations:
        text = "validations or auditAnnotations must contain at least one item"
        yield required("spec.validations", text)
        yield required("spec.auditAnnotations", text)
        return
    for place, validation in enumerate(validations):
        yield from _validation_faults(validation, composition, f"spec.validations[{place}]")
    yield from _annotation_faults(annotations, composition, obj["metadata"].get("name", ""))


def _validation_faults(validation: Object, composition: _Composition, path: str) -> Faults:
    text, message = validation.get("expression", ""), validation.get("message") or ""
    if not text.strip():
        yield required(f"{path}.expression", "expression is not specified")
    else:
        yield from _expression_faults(text, composition.declared(), IS_BOOL, f"{path}.expression")
    shown = validation.get("messageExpression") or ""
    if shown and not shown.strip():
        yield invalid(f"{path}.messageExpression", shown, "must be non-empty if specified")
    elif shown:
        declared = composition.declared(has_authorizer=False)
        yield from _expression_faults(shown, declared, IS_STRING, f"{path}.messageExpression")
    if message and not message.strip():
        yield invalid(f"{path}.message", message, "must be non-empty if specified")
    elif _NEWLINE.search(message.strip()):
        yield invalid(f"{path}.message", message, "must not contain line breaks")
    if (reason := validation.get("reason")) is not None:
        yield from _one_of(f"{path}.reason", reason, ("Forbidden", "Invalid", "RequestEntityTooLarge"))


def _annotation_faults(annotations: Sequence[Object], composition: _Composition, name: str) -> Faults:
    if len(annotations) > MOST_ANNOTATIONS:
        text = f"must not have more than {MOST_ANNOTATIONS} auditAnnotations"
        shown = [{"Key": a.get("key", ""), "ValueExpression": a.get("valueExpression", "")} for a in annotations]
        yield invalid("spec.auditAnnotations", shown, text)
    keys: set[str] = set()
    for place, annotation in enumerate(annotations):
        here, key = f"spec.auditAnnotations[{place}]", annotation.get("key", "")
        if name:
            yield from checks.qualified_name(f"{here}.key", f"{name}/{key}")
        else:
            yield invalid(f"{here}.key", key, "requires metadata.name be non-empty")
        yield from _value_faults(annotation.get("valueExpression", ""), composition, f"{here}.valueExpression")
        if key in keys:
            yield duplicate(f"{here}.key", key)
        keys.add(key)


def _value_faults(given: str, composition: _Composition, path: str) -> Faults:
    text = given.strip()
    if not text:
        yield required(path, "valueExpression is not specified")
    elif len(text.encode()) > LONGEST_ANNOTATION:
        yield required(path, f"must not exceed {LONGEST_ANNOTATION} bytes in length")
    else:
        found = environment.compiled(text, composition.declared(), IS_STRING_OR_NULL)
        if found.fault:
            yield invalid(path, given, found.fault)


def _mutating_policy(obj: Object) -> Faults:
    spec = obj.get("spec") or {}
    composition = _Composition({**spec, "variables": True})
    yield from _common_faults(spec)
    yield from _mutating_operation_faults(spec.get("matchConstraints"), "spec.matchConstraints")
    declared = declarations(composition.has_params)
    yield from _condition_faults(spec.get("matchConditions") or (), declared, "spec.matchConditions")
    yield from composition.variable_faults(spec.get("variables") or ())
    mutations = spec.get("mutations") or ()
    if not mutations:
        yield required("spec.mutations", "mutations must contain at least one item")
    for place, mutation in enumerate(mutations):
        yield from _mutation_faults(mutation, composition, f"spec.mutations[{place}]")
    if not spec.get("reinvocationPolicy"):
        yield required("spec.reinvocationPolicy")
    else:
        yield from _one_of("spec.reinvocationPolicy", spec["reinvocationPolicy"], ("IfNeeded", "Never"))


def _mutating_operation_faults(match: Object | None, path: str) -> Faults:
    for rule in (match or {}).get("resourceRules") or ():
        for operation in rule.get("operations") or ():
            yield from _one_of(f"{path}.resourceRules.operations", operation, _MUTATING)


_PATCHES: Mapping[str, tuple[str, tuple[Type, ...]]] = {
    "JSONPatch": ("jsonPatch", IS_JSON_PATCH),
    "ApplyConfiguration": ("applyConfiguration", IS_OBJECT),
}


def _mutation_faults(mutation: Object, composition: _Composition, path: str) -> Faults:
    kind = mutation.get("patchType") or ""
    if not kind:
        yield required(f"{path}.patchType")
    elif kind not in _PATCHES:
        yield not_supported(f"{path}.patchType", kind, tuple(_PATCHES))
    else:
        yield from _patch_faults(mutation, kind, composition, path)


def _patch_faults(mutation: Object, kind: str, composition: _Composition, path: str) -> Faults:
    member, wanted = _PATCHES[kind]
    other = "applyConfiguration" if member == "jsonPatch" else "jsonPatch"
    if (given := mutation.get(member)) is None:
        yield required(f"{path}.{member}", f"must be specified when patchType is {kind}")
    elif not (text := (given.get("expression") or "").strip()):
        yield required(f"{path}.{member}.expression")
    else:
        yield from _expression_faults(text, composition.declared(), wanted, f"{path}.{member}.expression", True)
    if mutation.get(other) is not None:
        yield invalid(f"{path}.{other}", f"{{{other}}}", f"must not be specified when patchType is {kind}")


# --- bindings


def _binding_faults(spec: Object) -> Faults:
    name = spec.get("policyName") or ""
    if not name:
        yield required("spec.policyName")
    else:
        yield from (invalid("spec.policyName", name, text) for text in dns_subdomain_faults(name))
    if (ref := spec.get("paramRef")) is not None:
        yield from _param_ref_faults(ref, "spec.paramRef")
    if (match := spec.get("matchResources")) is not None:
        yield from _match_faults(match, "spec.matchResources")


def _param_ref_faults(ref: Object, path: str) -> Faults:
    name, selector, action = ref.get("name") or "", ref.get("selector"), ref.get("parameterNotFoundAction")
    exclusive = "name and selector are mutually exclusive"
    if name:
        yield from (invalid(f"{path}.name", name, text) for text in path_segment_faults(name))
        if selector is not None:
            yield forbidden(f"{path}.name", exclusive)
    if selector is not None:
        yield from checks.selector(f"{path}.selector", selector)
        if name:
            yield forbidden(f"{path}.selector", exclusive)
    if not name and selector is None:
        yield required(path, "one of name or selector must be specified")
    if not action:
        yield required(f"{path}.parameterNotFoundAction")
    elif action not in ("Allow", "Deny"):
        yield FieldError(
            f"{path}.parameterNotFoundAction", "FieldValueNotSupported",
            f'Unsupported value: "{action}": supported values: "Deny", "Allow"',
        )  # fmt: skip


def _validating_binding(obj: Object) -> Faults:
    spec = obj.get("spec") or {}
    yield from _binding_faults(spec)
    actions, path = spec.get("validationActions") or (), "spec.validationActions"
    seen: set[str] = set()
    for place, action in enumerate(actions):
        yield from _one_of(f"{path}[{place}]", action, ("Audit", "Deny", "Warn"))
        if action in seen:
            yield duplicate(f"{path}[{place}]", action)
        seen.add(action)
    if {"Deny", "Warn"} <= seen:
        text = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API "
            "response and headers serves no purpose)"
        )
        yield invalid(path, actions, text)
    if not actions:
        yield required(path, "at least one validation action is required")


def _mutating_binding(obj: Object) -> Faults:
    spec = obj.get("spec") or {}
    yield from _binding_faults(spec)
    yield from _mutating_operation_faults(spec.get("matchResources"), "spec.matchResources")


# --- status


def _policy_status(new: Object, old: Object) -> Faults:
    checking = (new.get("status") or {}).get("typeChecking") or {}
    for place, warning in enumerate(checking.get("expressionWarnings") or ()):
        here: str = f"status.typeChecking.expressionWarnings[{place}]"
        for member in ("warning", "fieldRef"):
            value: Any = warning.get(member) or ""
            if not value.strip():
                yield required(f"{here}.{member}")


_HOOKS = Rules(default=(_default_hooks,), validate=(_hooks,), generation=True, counts_empties="webhooks")
ROWS = {
    (GROUP, "MutatingWebhookConfiguration"): _HOOKS,
    (GROUP, "ValidatingWebhookConfiguration"): _HOOKS,
    (GROUP, "ValidatingAdmissionPolicy"): Rules(
        default=(_default_policy,),
        validate=(_validating_policy,),
        validate_subresource={"status": (_policy_status,)},
        status_alone=True,
        generation=True,
    ),
    (GROUP, "ValidatingAdmissionPolicyBinding"): Rules(
        default=(_default_policy,), validate=(_validating_binding,), generation=True
    ),
    (GROUP, "MutatingAdmissionPolicy"): Rules(
        default=(_default_policy,), validate=(_mutating_policy,), generation=True
    ),
    (GROUP, "MutatingAdmissionPolicyBinding"): Rules(
        default=(_default_policy,), validate=(_mutating_binding,), generation=True
    ),
}
