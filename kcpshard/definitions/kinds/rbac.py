"""Role, ClusterRole and their bindings."""

from collections.abc import Iterator
from functools import partial

from kcpshard.api.errors import FieldError, invalid, required
from kcpshard.api.names import dns_subdomain_faults, path_segment_faults
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.naming import one_of
from kcpshard.definitions.strategies import Rules

GROUP = "rbac.authorization.k8s.io"


def _rule_faults(obj: Object, namespaced: bool) -> Iterator[FieldError]:
    for place, rule in enumerate(obj.get("rules") or ()):
        path = f"rules[{place}]"
        if not rule.get("verbs"):
            yield required(f"{path}.verbs", "verbs must contain at least one value")
        if urls := rule.get("nonResourceURLs"):
            if namespaced:
                yield invalid(f"{path}.nonResourceURLs", urls, "namespaced rules cannot apply to non-resource URLs")
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                text = "rules cannot apply to both regular resources and non-resource URLs"
                yield invalid(f"{path}.nonResourceURLs", urls, text)
            continue
        if not rule.get("apiGroups"):
            yield required(f"{path}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            yield required(f"{path}.resources", "resource rules must supply at least one resource")


def _aggregation_faults(obj: Object) -> Iterator[FieldError]:
    rule = obj.get("aggregationRule")
    if rule is None:
        return
    path = "aggregationRule.clusterRoleSelectors"
    if not rule.get("clusterRoleSelectors"):
        text = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        yield required(path, text)
    for place, selector in enumerate(rule.get("clusterRoleSelectors") or ()):
        faults = list(checks.selector(f"{path}[{place}]", selector))
        yield from faults
        if faults:
            yield invalid(f"{path}[{place}]", None, "invalid label selector.")


def _default_binding(obj: Object) -> None:
    reference = obj.get("roleRef")
    if reference is not None and not reference.get("apiGroup"):
        reference["apiGroup"] = GROUP
    for subject in obj.get("subjects") or ():
        if subject.get("kind") in ("User", "Group") and not subject.get("apiGroup"):
            subject["apiGroup"] = GROUP


def _binding_faults(obj: Object, kinds: tuple[str, ...], namespaced: bool) -> Iterator[FieldError]:
    reference = obj["roleRef"]
    yield from one_of("roleRef.apiGroup", reference["apiGroup"], (GROUP,))
    yield from one_of("roleRef.kind", reference["kind"], kinds)
    if not reference["name"]:
        yield required("roleRef.name")
    yield from (invalid("roleRef.name", reference["name"], text) for text in path_segment_faults(reference["name"]))
    for place, subject in enumerate(obj.get("subjects") or ()):
        yield from _subject_faults(subject, f"subjects[{place}]", namespaced)


def _subject_faults(subject: Object, path: str, namespaced: bool) -> Iterator[FieldError]:
    name, group = subject.get("name", ""), subject.get("apiGroup", "")
    if not name:
        yield required(f"{path}.name")
    match subject.get("kind", ""):
        case "ServiceAccount":
            if name:
                yield from (invalid(f"{path}.name", name, text) for text in dns_subdomain_faults(name))
            yield from one_of(f"{path}.apiGroup", group, ("",))
            if not namespaced and not subject.get("namespace"):
                yield required(f"{path}.namespace")
        case "User" | "Group":
            yield from one_of(f"{path}.apiGroup", group, (GROUP,))
        case other:
            yield from one_of(f"{path}.kind", other, ("ServiceAccount", "User", "Group"))


def _binding_update(new: Object, old: Object) -> Iterator[FieldError]:
    if new["roleRef"] != old["roleRef"]:
        shown = {"APIGroup": "apiGroup", "Kind": "kind", "Name": "name"}
        value = {go: new["roleRef"].get(member, "") for go, member in shown.items()}
        yield invalid("roleRef", value, "cannot change roleRef")


ROWS = {
    (GROUP, "Role"): Rules(validate=(partial(_rule_faults, namespaced=True),)),
    (GROUP, "ClusterRole"): Rules(validate=(partial(_rule_faults, namespaced=False), _aggregation_faults)),
    (GROUP, "RoleBinding"): Rules(
        default=(_default_binding,),
        validate=(partial(_binding_faults, kinds=("Role", "ClusterRole"), namespaced=True),),
        validate_update=(_binding_update,),
    ),
    (GROUP, "ClusterRoleBinding"): Rules(
        default=(_default_binding,),
        validate=(partial(_binding_faults, kinds=("ClusterRole",), namespaced=False),),
        validate_update=(_binding_update,),
    ),
}
