"""APIService. A local one (without a service, or our annotation with a URL) is available from the moment it exists."""

from collections.abc import Iterator
from datetime import UTC, datetime

from kcpshard.api.errors import FieldError, forbidden, invalid, required
from kcpshard.api.names import dns_subdomain_faults
from kcpshard.definitions.contract import Object
from kcpshard.definitions.naming import dns1035_label_faults, one_of
from kcpshard.definitions.remote_apis import URL, names_server, url_fault, url_of
from kcpshard.definitions.strategies import Rules

_MAX_GROUP_PRIORITY, _MAX_VERSION_PRIORITY = 20_000, 1_000


def _default(obj: Object) -> None:
    service = obj["spec"].get("service")
    if service is not None and service.get("port") is None:
        service["port"] = 443


def _prepare_create(obj: Object) -> None:
    obj["status"] = {}
    if not names_server(obj):
        available = {
            "type": "Available",
            "status": "True",
            "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "reason": "Local",
            "message": "Local APIServices are always available",
        }
        obj["status"] = {"conditions": [available]}


def _validate(obj: Object) -> Iterator[FieldError]:
    spec, name = obj["spec"], obj["metadata"].get("name", "")
    group, version = spec.get("group", ""), spec.get("version", "")
    if name and name != f"{version}.{group}":
        yield invalid("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{version}.{group}"')
    if group:
        yield from (invalid("spec.group", group, text) for text in dns_subdomain_faults(group))
    elif version != "v1":
        yield required("spec.group", "only v1 may have an empty group and it better be legacy kube")
    yield from (invalid("spec.version", version, text) for text in dns1035_label_faults(version))
    yield from _priority_faults("groupPriorityMinimum", spec["groupPriorityMinimum"], _MAX_GROUP_PRIORITY)
    yield from _priority_faults("versionPriority", spec["versionPriority"], _MAX_VERSION_PRIORITY)
    yield from _service_faults(spec, url_of(obj))


def _priority_faults(member: str, value: int, limit: int) -> Iterator[FieldError]:
    if not 0 < value <= limit:
        yield invalid(f"spec.{member}", value, f"must be positive and less than {limit}")


def _service_faults(spec: Object, url: str) -> Iterator[FieldError]:
    service, bundle = spec.get("service"), spec.get("caBundle")
    insecure = bool(spec.get("insecureSkipTLSVerify"))
    if url:
        if fault := url_fault(url):
            yield invalid(f"metadata.annotations[{URL}]", url, fault)
        if service is not None:
            yield forbidden(f"metadata.annotations[{URL}]", "may not be set beside spec.service")
    elif service is None:
        if bundle:
            size = len(bundle) // 4 * 3 - bundle.count("=")
            yield invalid("spec.caBundle", f"{size} bytes", "local APIServices may not have a caBundle")
        if insecure:
            text = "local APIServices may not have insecureSkipTLSVerify"
            yield invalid("spec.insecureSkipTLSVerify", True, text)
        return
    if service is not None:
        yield from _reference_faults(service)
    if insecure and bundle:
        yield invalid("spec.insecureSkipTLSVerify", True, "may not be true if caBundle is present")


def _reference_faults(service: Object) -> Iterator[FieldError]:
    for member in ("namespace", "name"):
        if not service.get(member):
            yield required(f"spec.service.{member}")
    if not 1 <= service["port"] <= 65535:
        text = "port is not valid: must be between 1 and 65535, inclusive"
        yield invalid("spec.service.port", service["port"], text)


def _status_faults(new: Object, old: Object) -> Iterator[FieldError]:
    for place, condition in enumerate((new.get("status") or {}).get("conditions") or ()):
        yield from one_of(f"status.conditions[{place}].status", condition["status"], ("True", "False", "Unknown"))


ROWS = {
    ("apiregistration.k8s.io", "APIService"): Rules(
        default=(_default,),
        prepare_create=(_prepare_create,),
        validate=(_validate,),
        validate_subresource={"status": (_status_faults,)},
        status_alone=True,
    )
}
