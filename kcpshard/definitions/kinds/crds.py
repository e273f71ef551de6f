"""CustomResourceDefinition, apart from its schemas: names, versions, conversion, columns and subresources.

Schemas and what refers to them are judged by `crd_schemas`. Establishing is a controller's: a new definition has no
conditions.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from kcpshard.api.errors import FieldError, forbidden, invalid, required
from kcpshard.api.names import dns_subdomain_faults
from kcpshard.api.objects import are_same
from kcpshard.definitions.contract import Object
from kcpshard.definitions.crd_documents import header_fields
from kcpshard.definitions.crd_schemas import schema_faults
from kcpshard.definitions.naming import dns1035_label_faults, one_of
from kcpshard.definitions.strategies import Rules, keep

_APPROVED = "api-approved.kubernetes.io"
_MIXED_CASE = "may have mixed case, but should otherwise match: "
_MAX_WARNING = 256
_WORKLOAD_GROUPS = frozenset(("apps", "autoscaling", "batch", "extensions", "policy"))
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_SIMPLE_PATH = re.compile(r"(\.[^.\[\]()'\"\s?*@,]+(\[[^\]]*\])*)+")


# --- defaults and preparation


def _default(obj: Object) -> None:
    spec = obj["spec"]
    names = spec["names"]
    if kind := names.get("kind"):
        if not names.get("singular"):
            names["singular"] = kind.lower()
        if not names.get("listKind"):
            names["listKind"] = kind + "List"
    if spec.get("conversion") is None:
        spec["conversion"] = {"strategy": "None"}
    service = ((spec["conversion"].get("webhook") or {}).get("clientConfig") or {}).get("service")
    if service is not None and service.get("port") is None:
        service["port"] = 443


def _prepare_create(obj: Object) -> None:
    stored = [v["name"] for v in obj["spec"].get("versions") or () if v["storage"]]
    names = {"kind": "", "plural": ""}
    obj["status"] = {"conditions": None, "acceptedNames": names, "storedVersions": stored[:1] or None}


def _prepare_update(new: Object, old: Object) -> None:
    """A version that becomes the storage version joins those that stored objects may have."""
    keep(new, old, "status")
    status = new.get("status") or {}
    stored = status.get("storedVersions") or []
    added = [v["name"] for v in new["spec"].get("versions") or () if v["storage"] and v["name"] not in stored]
    if added:
        new["status"] = {**status, "storedVersions": [*stored, *added]}


# --- validation


def _validate(obj: Object) -> list[FieldError]:
    spec, name = obj["spec"], obj["metadata"].get("name", "")
    faults: list[FieldError] = []
    is_core = not spec["group"] and name == f"{spec['names']['plural']}.core"
    if not is_core and name != f"{spec['names']['plural']}.{spec['group']}":
        faults.append(invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
    faults += [] if is_core else _group_faults(spec["group"])
    if not spec["scope"]:
        faults.append(required("spec.scope"))
    else:
        faults += one_of("spec.scope", spec["scope"], ("Cluster", "Namespaced"))
    faults += _version_faults(spec)
    if spec.get("preserveUnknownFields"):
        text = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        faults.append(invalid("spec.preserveUnknownFields", True, text))
    faults += _name_faults(spec["names"])
    faults += _conversion_faults(spec["conversion"])
    faults += _approval_faults(obj)
    faults += _stored_faults(obj)
    return faults


def _group_faults(group: str) -> list[FieldError]:
    """Unlike kube-apiserver, which has them built in, the groups of workloads may be defined: they are imported."""
    if not group:
        return [required("spec.group")]
    faults = [invalid("spec.group", group, text) for text in dns_subdomain_faults(group)]
    if not faults and "." not in group and group not in _WORKLOAD_GROUPS:
        faults.append(invalid("spec.group", group, "should be a domain with at least one dot"))
    return faults


def _approval_faults(obj: Object) -> Iterator[FieldError]:
    """Groups of the Kubernetes community may only be used with a link to the approval."""
    group = obj["spec"]["group"]
    if group not in ("k8s.io", "kubernetes.io") and not group.endswith((".k8s.io", ".kubernetes.io")):
        return
    given = (obj["metadata"].get("annotations") or {}).get(_APPROVED, "")
    path, see = f"metadata.annotations[{_APPROVED}]", "see https://github.com/kubernetes/enhancements/pull/1111"
    if not given:
        yield required(path, f'protected groups must have approval annotation "{_APPROVED}", {see}')
    elif not given.startswith("unapproved") and not urlsplit(given).netloc:
        text = (
            f'protected groups must have approval annotation "{_APPROVED}" with either a URL or a reason starting '
            f'with "unapproved", {see}'
        )
        yield invalid(path, given, text)


def _version_faults(spec: Object) -> Iterator[FieldError]:
    versions: Sequence[Object] = spec.get("versions") or []
    names: list[str] = [v["name"] for v in versions]
    for place, version in enumerate(versions):
        path = f"spec.versions[{place}]"
        yield from (invalid(f"{path}.name", version["name"], t) for t in dns1035_label_faults(version["name"]))
        yield from _warning_faults(version, f"{path}.deprecationWarning")
        if (version.get("schema") or {}).get("openAPIV3Schema") is None:
            yield required(f"{path}.schema.openAPIV3Schema")
    shown = [_shown(v) for v in versions]
    if len(set(names)) != len(names):
        yield invalid("spec.versions", shown, "must contain unique version names")
    if sum(bool(v["storage"]) for v in versions) != 1:
        text = "must have exactly one version marked as storage version"
        yield invalid("spec.versions", shown or spec.get("versions"), text)
    first = names[0] if names else ""
    if first:  # the deprecated spec.version, which defaults to the first
        yield from (invalid("spec.version", first, text) for text in dns1035_label_faults(first))
    yield from _shared_faults(versions)


def _shown(version: Object) -> dict[str, Any]:
    """As kube-apiserver prints its internal value, what all versions share having moved elsewhere."""
    return {
        "Name": version["name"], "Served": version["served"], "Storage": version["storage"],
        "Deprecated": bool(version.get("deprecated")), "DeprecationWarning": version.get("deprecationWarning"),
        "Schema": None, "Subresources": None, "AdditionalPrinterColumns": None, "SelectableFields": None,
    }  # fmt: skip


def _warning_faults(version: Object, path: str) -> Iterator[FieldError]:
    warning = version.get("deprecationWarning")
    if warning is None:
        return
    if not version.get("deprecated"):
        yield invalid(path, warning, "can only be set for deprecated versions")
    if not warning:
        yield invalid(path, warning, "must not be an empty string")
    if len(warning) > _MAX_WARNING:
        yield invalid(path, warning, f"must be <= {_MAX_WARNING} characters long")


def _shared_faults(versions: Sequence[Object]) -> Iterator[FieldError]:
    """What every version has alike is reported once, where kube-apiserver's internal value has it."""
    for member, path, check in (
        ("subresources", "subresources", _subresource_faults),
        ("additionalPrinterColumns", "additionalPrinterColumns", _column_faults),
    ):
        values = [v.get(member) for v in versions]
        if values and all(value == values[0] for value in values):
            yield from check(values[0], f"spec.{path}")
        else:
            for place, value in enumerate(values):
                yield from check(value, f"spec.versions[{place}].{member}")


def _subresource_faults(subresources: Any, path: str) -> Iterator[FieldError]:
    scale = (subresources or {}).get("scale")
    if scale is None:
        return
    yield from _replica_path_faults(scale["specReplicasPath"], f"{path}.scale.specReplicasPath", ".spec")
    yield from _replica_path_faults(scale["statusReplicasPath"], f"{path}.scale.statusReplicasPath", ".status")
    selector = scale.get("labelSelectorPath")
    if selector:
        here = f"{path}.scale.labelSelectorPath"
        if _SIMPLE_PATH.fullmatch(selector) is None:
            yield invalid(here, selector, "must be a simple json path starting with .")
        elif not selector.startswith((".spec.", ".status.")):
            yield invalid(here, selector, "should be a json path under either .spec or .status")


def _replica_path_faults(value: str, path: str, root: str) -> Iterator[FieldError]:
    if not value:
        yield required(path)
    elif _SIMPLE_PATH.fullmatch(value) is None:
        yield invalid(path, value, "must be a simple json path starting with .")
    elif not value.startswith(root + "."):
        yield invalid(path, value, f"should be a json path under {root}")


def _column_faults(columns: Any, path: str) -> Iterator[FieldError]:
    for place, column in enumerate(columns or ()):
        here = f"{path}[{place}]"
        if not column["name"]:
            yield required(f"{here}.name")
        types = f"must be one of {','.join(_COLUMN_TYPES)}"
        if not column["type"]:
            yield required(f"{here}.type", types)
        elif column["type"] not in _COLUMN_TYPES:
            yield invalid(f"{here}.type", column["type"], types)
        if column.get("format") and column["format"] not in _COLUMN_FORMATS:
            yield invalid(f"{here}.format", column["format"], f"must be one of {','.join(_COLUMN_FORMATS)}")
        if not column["jsonPath"]:
            yield required(f"{here}.JSONPath")
        elif not column["jsonPath"].startswith("."):
            yield invalid(f"{here}.JSONPath", column["jsonPath"], "must be a simple json path starting with .")


def _name_faults(names: Object) -> Iterator[FieldError]:
    for member in ("plural", "singular", "kind", "listKind"):
        yield from _one_name_faults(names.get(member, ""), member)
    for member in ("shortNames", "categories"):
        for place, value in enumerate(names.get(member) or ()):
            path = f"spec.names.{member}[{place}]"
            yield from (invalid(path, value, text) for text in dns1035_label_faults(value))
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        yield invalid("spec.names.listKind", names["listKind"], "kind and listKind may not be the same")


def _one_name_faults(value: str, member: str) -> Iterator[FieldError]:
    path, mixed = f"spec.names.{member}", member in ("kind", "listKind")
    if not value:
        yield required(path)
        return
    for text in dns1035_label_faults(value.lower() if mixed else value):
        yield invalid(path, value, (_MIXED_CASE if mixed else "") + text)


def _conversion_faults(conversion: Object) -> Iterator[FieldError]:
    path, webhook = "spec.conversion", conversion.get("webhook") or {}
    if not conversion["strategy"]:
        yield required(f"{path}.strategy")
    else:
        yield from one_of(f"{path}.strategy", conversion["strategy"], ("None", "Webhook"))
    versions = webhook.get("conversionReviewVersions") or []
    if conversion["strategy"] != "Webhook":
        unused = "should not be set when strategy is not set to Webhook"
        if webhook.get("clientConfig") is not None:
            yield forbidden(f"{path}.webhookClientConfig", unused)
        if versions:
            yield forbidden(f"{path}.conversionReviewVersions", unused)
        return
    yield from _client_faults(webhook.get("clientConfig"), f"{path}.webhookClientConfig")
    if not versions:
        yield required(f"{path}.conversionReviewVersions")
    elif not {"v1", "v1beta1"} & set(versions):
        yield invalid(f"{path}.conversionReviewVersions", versions, "must include at least one of v1, v1beta1")


def _client_faults(client: Object | None, path: str) -> Iterator[FieldError]:
    if client is None:
        yield required(path, "required when strategy is set to Webhook")
        return
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        yield required(path, "exactly one of url or service is required")
    elif url is not None:
        yield from _url_faults(url, f"{path}.url")
    elif service is not None:
        yield from _service_faults(service, f"{path}.service")


_URL_FORM = "; desired format: https://host[/path]"


def _url_faults(url: str, path: str) -> Iterator[FieldError]:
    try:
        parts = urlsplit(url)
    except ValueError as fault:
        yield required(path, f"url must be a valid URL: {fault}{_URL_FORM}")
        return
    if parts.scheme != "https":
        yield invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{_URL_FORM}")
    if not parts.netloc:
        yield invalid(path, parts.netloc, f"host must be specified{_URL_FORM}")
    if "@" in parts.netloc:
        yield invalid(path, parts.username or "", "user information is not permitted in the URL")
    if parts.fragment:
        yield invalid(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield invalid(path, parts.query, "query parameters are not permitted in the URL")


def _service_faults(service: Object, path: str) -> Iterator[FieldError]:
    for member in ("name", "namespace"):
        if not service.get(member):
            yield required(f"{path}.{member}", f"service {member} is required")
    if not 1 <= service["port"] <= 65535:
        text = "port is not valid: must be between 1 and 65535, inclusive"
        yield invalid(f"{path}.port", service["port"], text)
    where = service.get("path")
    if where is None or where == "/":
        return
    if not where.startswith("/"):
        yield invalid(f"{path}.path", where, "must start with a '/'")
    for place, segment in enumerate(where[1:].removesuffix("/").split("/")):
        if not segment:
            yield invalid(f"{path}.path", where, f"segment[{place}] may not be empty")
        elif faults := dns_subdomain_faults(segment):
            yield from (invalid(f"{path}.path", where, f"segment[{place}]: {text}") for text in faults)


def _stored_faults(obj: Object) -> Iterator[FieldError]:
    """Objects may exist in each stored version, so each must still be defined, the storage version among them."""
    path = "status.storedVersions"
    versions = obj["spec"].get("versions") or []
    stored = (obj.get("status") or {}).get("storedVersions")
    if not stored:
        yield invalid(path, stored, "must have at least one stored version")
        return
    names = {v["name"] for v in versions}
    for place, name in enumerate(stored):
        if name not in names:
            text = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                f"spec.versions until a storage migration ensures no data remains persisted in {name} and removes "
                f"{name} from status.storedVersions"
            )
            yield invalid(f"{path}[{place}]", name, text)
    for name in [v["name"] for v in versions if v["storage"]][-1:]:
        if name not in stored:
            yield invalid(path, stored, f"must have the storage version {name}")


def _update(new: Object, old: Object) -> Iterator[FieldError]:
    """Once established, what addresses the objects is fixed. Schemas that stay as they are stay as good as they are."""
    if not are_same(new["spec"].get("versions"), old["spec"].get("versions")):
        yield from schema_faults(new)
    conditions = (old.get("status") or {}).get("conditions") or ()
    if not any(c["type"] == "Established" and c["status"] == "True" for c in conditions):
        return
    for path in (("group",), ("scope",), ("names", "kind"), ("names", "plural")):
        given, had = new["spec"], old["spec"]
        for step in path:
            given, had = given[step], had[step]
        if given != had:
            yield invalid(f"spec.{'.'.join(path)}", given, "field is immutable")


ROWS = {
    ("apiextensions.k8s.io", "CustomResourceDefinition"): Rules(
        default=(_default,),
        prepare_create=(_prepare_create,),
        prepare_update={"": _prepare_update},
        validate=(_validate,),
        validate_create=(schema_faults,),
        validate_update=(_update,),
        generation=True,
        fields_from=header_fields,
    )
}
