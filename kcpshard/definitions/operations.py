"""Which HTTP operations a resource type has, as OpenAPI describes them: paths, identifiers, parameters, answers.

Decides what is said; `openapi` renders it as version 2 or 3. The deprecated /watch/ paths are served but not described.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from kcpshard.definitions import facts
from kcpshard.definitions.contract import Resource, Subresource
from kcpshard.definitions.facts import META


class Parameter(NamedTuple):
    name: str
    type: str
    description: str


class Operation(NamedTuple):
    """One method of one path. `definition` and `body` name definitions; an empty `body` means there is none."""

    path: str
    method: str
    action: str  # x-kubernetes-action
    identifier: str
    description: str
    tag: str
    kind: tuple[str, str, str]  # group, version, kind
    parameters: tuple[Parameter, ...]
    path_parameters: tuple[Parameter, ...]
    body: str
    body_required: bool
    definition: str
    codes: tuple[str, ...]
    streams: bool = False


PATCH_TYPES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
_P = {
    name: Parameter(name, type_, description)
    for name, type_, description in (
        ("name", "string", "name of the {kind}"),
        ("namespace", "string", "object name and auth scope, such as for teams and projects"),
        ("pretty", "string", "If 'true', then the output is pretty printed."),
        ("dryRun", "string", "All: check everything and store nothing."),
        ("fieldManager", "string", "The actor that makes this change; at most 128 printable characters."),
        (
            "fieldValidation",
            "string",
            "What to do about unknown and duplicate fields: Ignore, Warn (the default) or Strict.",
        ),
        ("force", "boolean", "Of an apply patch: take over fields that other managers own."),
        ("gracePeriodSeconds", "integer", "Seconds before the object is deleted; 0 deletes it at once."),
        (
            "ignoreStoreReadErrorWithClusterBreakingPotential",
            "boolean",
            "Accepted for compatibility; unreadable objects are not deleted this way.",
        ),
        ("orphanDependents", "boolean", "Deprecated: use propagationPolicy."),
        ("propagationPolicy", "string", "What happens to dependents: Orphan, Background or Foreground."),
        ("allowWatchBookmarks", "boolean", "Of a watch: bookmark events may be sent."),
        ("continue", "string", "Where a paged list goes on: the token that came with the previous page."),
        ("fieldSelector", "string", "Restrict the objects by their fields."),
        ("labelSelector", "string", "Restrict the objects by their labels."),
        ("limit", "integer", "The most objects that one page of a list may have."),
        ("resourceVersion", "string", "Which state to show, or after which change a watch begins."),
        ("resourceVersionMatch", "string", "How resourceVersion is applied to a list: Exact or NotOlderThan."),
        ("sendInitialEvents", "boolean", "Of a watch: begin with an event for each present object."),
        ("timeoutSeconds", "integer", "When the call ends, whatever happens."),
        ("watch", "boolean", "Watch for changes instead of listing."),
    )
}


def _chosen(*names: str) -> tuple[Parameter, ...]:
    return tuple(_P[name] for name in names)


_WRITE = _chosen("dryRun", "fieldManager", "fieldValidation")
_PATCH = (*_WRITE, *_chosen("force"))
_DELETE = _chosen(
    "dryRun", "gracePeriodSeconds", "ignoreStoreReadErrorWithClusterBreakingPotential", "orphanDependents",
    "propagationPolicy",
)  # fmt: skip
_LIST = _chosen(
    "allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion",
    "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch",
)  # fmt: skip
_DELETE_COLLECTION = tuple(
    sorted({*_DELETE, *(p for p in _LIST if p.name not in ("watch", "allowWatchBookmarks"))}, key=lambda p: p.name)
)


class Shape(NamedTuple):
    """What one action looks like, whatever the resource."""

    method: str
    action: str
    verb: str  # begins the identifier
    description: str
    parameters: tuple[Parameter, ...]
    codes: tuple[str, ...]


_LIST_SHAPE = Shape("get", "list", "list", "list or watch objects of kind", _LIST, ("200",))
_CREATE = Shape("post", "post", "create", "create", _WRITE, ("200", "201", "202"))
_ITEM = {
    "get": Shape("get", "get", "read", "read the specified", (), ("200",)),
    "update": Shape("put", "put", "replace", "replace the specified", _WRITE, ("200", "201")),
    "patch": Shape("patch", "patch", "patch", "partially update the specified", _PATCH, ("200", "201")),
    "delete": Shape("delete", "delete", "delete", "delete", _DELETE, ("200", "202")),
}
_COLLECTION_DELETE = Shape("delete", "deletecollection", "delete", "delete collection of", _DELETE_COLLECTION, ("200",))


def group_words(group: str) -> list[str]:
    """rbac.authorization.k8s.io → ["rbac", "authorization"]; "" → ["core"]."""
    return (group.removesuffix(".k8s.io") or "core").split(".")


def _camel(words: Sequence[str]) -> str:
    return words[0] + "".join(w[:1].upper() + w[1:] for w in words[1:])


def tag_of(group: str, version: str) -> str:
    return f"{_camel(group_words(group))}_{version}"


def operations(resource: Resource) -> Iterator[Operation]:
    """All operations on resources of that type, in path order."""
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    place = f"{root}/namespaces/{{namespace}}/{resource.plural}" if resource.namespaced else f"{root}/{resource.plural}"
    if resource.namespaced and "list" in resource.verbs:
        yield _operation(resource, _LIST_SHAPE, f"{root}/{resource.plural}", suffix="ForAllNamespaces")
    if "list" in resource.verbs:
        yield _operation(resource, _LIST_SHAPE, place)
    if "create" in resource.verbs:
        yield _operation(resource, _CREATE, place)
    if "deletecollection" in resource.verbs:
        yield _operation(resource, _COLLECTION_DELETE, place, infix="Collection")
    for verb, shape in _ITEM.items():
        if verb in resource.verbs:
            yield _operation(resource, shape, place + "/{name}")
    for subresource in resource.subresources.values():
        for verb, shape in _ITEM.items():
            if verb in subresource.verbs:
                yield _operation(resource, shape, f"{place}/{{name}}/{subresource.name}", subresource=subresource)


def _operation(
    resource: Resource,
    shape: Shape,
    path: str,
    infix: str = "",
    suffix: str = "",
    subresource: Subresource | None = None,
) -> Operation:
    kind = (resource.group, resource.version, resource.kind)
    if subresource is not None and subresource.version:
        kind = (subresource.group, subresource.version, subresource.kind)
    is_custom = resource.definition is not None and (subresource is None or not subresource.version)
    name_of = definition_name if is_custom else facts.definition_of
    definition = name_of(*kind)
    answer, body = definition, ""
    if shape.action == "list":
        answer = name_of(resource.group, resource.version, resource.list_kind)
    if shape.method == "delete":
        answer, body = META + "Status", META + "DeleteOptions"
    elif shape.method == "patch":
        body = META + "Patch"
    elif shape.method in ("post", "put"):
        body = definition
    scope = "Namespaced" if "{namespace}" in path else ""
    words = [shape.verb, *group_words(resource.group), resource.version]
    ending = f"{infix}{scope}{resource.kind}{subresource.name.capitalize() if subresource else ''}{suffix}"
    described = f"{subresource.name} of the specified {resource.kind}" if subresource else resource.kind
    article = "a " if shape.verb in ("create", "delete") and not infix else ""
    return Operation(
        path,
        shape.method,
        shape.action,
        _camel(words) + ending,
        f"{shape.description} {article}{described}",
        tag_of(resource.group, resource.version),
        kind,
        shape.parameters,
        tuple(_path_parameters(path, resource.kind)),
        body,
        shape.method != "delete",
        answer,
        shape.codes,
        shape.action == "list",
    )


def definition_name(group: str, version: str, kind: str) -> str:
    """Of a custom type: example.com → "com.example.v1.Widget"."""
    return ".".join([*reversed(group.split(".")), version, kind]).removeprefix(".")


def _path_parameters(path: str, kind: str) -> Iterator[Parameter]:
    if "{name}" in path:
        yield _P["name"]._replace(description=f"name of the {kind}")
    if "{namespace}" in path:
        yield _P["namespace"]
    yield _P["pretty"]


def kind_extension(kind: tuple[str, str, str]) -> Mapping[str, str]:
    return {"group": kind[0], "version": kind[1], "kind": kind[2]}
