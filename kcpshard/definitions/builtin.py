"""The built-in resource types as Resource values: facts from discovery plus what discovery does not say.

Two API sets: `minimal` is what a control plane without workloads needs; `full` is all that the facts describe. Nothing
is ever stored under componentstatuses, whose components are not ours.
"""

from collections.abc import Mapping

from kcpshard.definitions import autoscaler_conversion, facts
from kcpshard.definitions.contract import MetadataRules, Resource, Subresource
from kcpshard.definitions.converted_strategy import ConvertedStrategy
from kcpshard.definitions.facts import ResourceFacts
from kcpshard.definitions.kinds import RULES
from kcpshard.definitions.strategies import KindStrategy, Rules

API_SETS = ("minimal", "full")

_MINIMAL = frozenset(
    {
        "configmaps", "events", "limitranges", "namespaces", "resourcequotas", "secrets", "serviceaccounts",
        "customresourcedefinitions.apiextensions.k8s.io", "apiservices.apiregistration.k8s.io",
        "tokenreviews.authentication.k8s.io", "selfsubjectreviews.authentication.k8s.io",
        "localsubjectaccessreviews.authorization.k8s.io", "selfsubjectaccessreviews.authorization.k8s.io",
        "selfsubjectrulesreviews.authorization.k8s.io", "subjectaccessreviews.authorization.k8s.io",
        "certificatesigningrequests.certificates.k8s.io", "leases.coordination.k8s.io", "events.events.k8s.io",
        "clusterrolebindings.rbac.authorization.k8s.io", "clusterroles.rbac.authorization.k8s.io",
        "rolebindings.rbac.authorization.k8s.io", "roles.rbac.authorization.k8s.io",
    }
)  # fmt: skip

# Kinds stored in another version or group than the one asked for; everything else is stored as served.
_STORED_AS = {
    ("events.k8s.io", "v1", "events"): ("", "v1", "events"),
    ("autoscaling", "v1", "horizontalpodautoscalers"): ("autoscaling", "v2", "horizontalpodautoscalers"),
}

_NAME_RULES = {
    "namespaces": "label",
    "clusterroles.rbac.authorization.k8s.io": "path_segment",
    "clusterrolebindings.rbac.authorization.k8s.io": "path_segment",
    "roles.rbac.authorization.k8s.io": "path_segment",
    "rolebindings.rbac.authorization.k8s.io": "path_segment",
    "customresourcedefinitions.apiextensions.k8s.io": "subdomain",
    "apiservices.apiregistration.k8s.io": "path_segment",
    "services": "label",
    "statefulsets.apps": "label",
    "certificatesigningrequests.certificates.k8s.io": "any",
    "poddisruptionbudgets.policy": "path_segment",
    "events": "path_segment",
    "ipaddresses.networking.k8s.io": "ip_address",
}

_CREATE_ON_UPDATE = frozenset(
    {
        "events", "limitranges", "leases.coordination.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io",
        "clusterroles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io",
        "roles.rbac.authorization.k8s.io", "endpoints", "runtimeclasses.node.k8s.io", "services",
    }
)  # fmt: skip
_NO_UNCONDITIONAL_UPDATE = frozenset(
    {
        "leases.coordination.k8s.io", "customresourcedefinitions.apiextensions.k8s.io",
        "apiservices.apiregistration.k8s.io", "runtimeclasses.node.k8s.io", "csidrivers.storage.k8s.io",
        "csinodes.storage.k8s.io", "csistoragecapacities.storage.k8s.io", "volumeattachments.storage.k8s.io",
        "validatingadmissionpolicies.admissionregistration.k8s.io", "poddisruptionbudgets.policy",
        "validatingadmissionpolicybindings.admissionregistration.k8s.io",
        "mutatingadmissionpolicies.admissionregistration.k8s.io",
        "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
    }
)  # fmt: skip
# Whose own rules say nothing about metadata: what is general is judged once they have found no fault.
_METADATA_LATER = frozenset({"events", "poddisruptionbudgets.policy"})
# Whose rules for a new name hold for the `generateName` of an update too.
_NAMED_ANEW = frozenset(
    {
        "apiservices.apiregistration.k8s.io", "configmaps", "controllerrevisions.apps", "csinodes.storage.k8s.io",
        "endpoints", "endpointslices.discovery.k8s.io", "flowschemas.flowcontrol.apiserver.k8s.io",
        "ingressclasses.networking.k8s.io", "ingresses.networking.k8s.io", "jobs.batch", "limitranges",
        "mutatingwebhookconfigurations.admissionregistration.k8s.io", "namespaces", "nodes",
        "persistentvolumeclaims", "persistentvolumes", "pods",
        "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", "resourceclaims.resource.k8s.io",
        "runtimeclasses.node.k8s.io", "secrets", "serviceaccounts", "storageclasses.storage.k8s.io",
        "validatingwebhookconfigurations.admissionregistration.k8s.io", "volumeattributesclasses.storage.k8s.io",
    }
)  # fmt: skip
# Whose finalizers need no domain in their names: kube-apiserver never asked for one.
_LENIENT_GROUPS = frozenset(
    {
        "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "coordination.k8s.io",
        "node.k8s.io", "policy",
    }
)  # fmt: skip
_DEPRECATED = {
    "componentstatuses": "v1 ComponentStatus is deprecated in v1.19+",
    "endpoints": "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
}
_RETENTION = {"events": 1, "leases.coordination.k8s.io": 2}


def builtin_resources(api_set: str) -> list[Resource]:
    """The set's resource types in discovery order. Raises ValueError for an unknown set."""
    if api_set not in API_SETS:
        raise ValueError(f"unknown API set {api_set!r}: choose one of {', '.join(API_SETS)}")
    served = [f for f in facts.resources() if _is_served(f, api_set)]
    found = {(f.group, f.version, f.plural): _resource(f) for f in served}
    for place, resource in found.items():
        stored = found[_STORED_AS.get(place, place)]
        resource.storage_version = stored.api_version
        resource.storage_resource = None if stored is resource else stored
        resource.group_resource = group_resource(stored.group, stored.plural)
    _judge_as_stored(found)
    return list(found.values())


def _judge_as_stored(found: dict[tuple[str, str, str], Resource]) -> None:
    """HorizontalPodAutoscalers of v1 are what they are as v2."""
    old = found.get(("autoscaling", "v1", "horizontalpodautoscalers"))
    if old is not None and old.storage_resource is not None:
        stored = old.storage_resource.strategy
        old.strategy = ConvertedStrategy(old.strategy, stored, autoscaler_conversion.to_v2, autoscaler_conversion.to_v1)


def group_resource(group: str, plural: str) -> str:
    return f"{plural}.{group}" if group else plural


def _is_served(entry: ResourceFacts, api_set: str) -> bool:
    name = group_resource(entry.group, entry.plural)
    return name in _MINIMAL if api_set == "minimal" else True


def _resource(entry: ResourceFacts) -> Resource:
    name = group_resource(entry.group, entry.plural)
    stored = _STORED_AS.get((entry.group, entry.version, entry.plural))
    key = group_resource(stored[0], stored[2]) if stored else name
    found = Resource()
    found.group, found.version, found.plural = entry.group, entry.version, entry.plural
    found.singular, found.kind, found.list_kind = entry.singular, entry.kind, entry.kind + "List"
    found.short_names, found.categories = entry.short_names, entry.categories
    found.namespaced = entry.namespaced
    found.verbs = frozenset(entry.verbs)
    found.subresources = _subresources(entry)
    found.api_version = f"{entry.group}/{entry.version}" if entry.group else entry.version
    found.group_resource = key
    found.storage_version = found.api_version
    found.storage_resource = None
    found.storage_version_hash = entry.storage_version_hash
    found.schema = facts.schema_of(entry.group, entry.version, entry.kind)
    rules = RULES.get((entry.group, entry.kind), Rules())
    found.strategy = KindStrategy(rules, found.schema)
    found.fingerprint = 0
    found.retention = _RETENTION.get(key, 0)
    found.metadata_rules = _metadata_rules(entry.group, name)
    found.field_names = rules.field_aliases or frozenset(
        {"metadata.name", "metadata.namespace", *found.strategy.field_names}
    )
    found.columns = b""
    found.unconditional_update = key not in _NO_UNCONDITIONAL_UPDATE
    found.create_on_update = key in _CREATE_ON_UPDATE
    found.virtual = found.verbs == {"create"}
    found.deprecation, found.definition = _DEPRECATED.get(name, ""), None
    return found


def _metadata_rules(group: str, name: str) -> MetadataRules:
    rule = _NAME_RULES.get(name, "subdomain")
    is_lenient = group in _LENIENT_GROUPS or name == "events"
    return MetadataRules(rule, rule if name in _NAMED_ANEW else "path_segment", is_lenient, name in _METADATA_LATER)


def _subresources(entry: ResourceFacts) -> Mapping[str, Subresource]:
    return {s.name: Subresource(s.name, s.verbs, s.kind, s.group, s.version) for s in entry.subresources}
