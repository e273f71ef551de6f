"""Workspaces: of which type one may be, who has made it, and what nobody but the system may change.

The sentences are kcp's. Types may lie on other shards (`tenancy.directory`); then the write waits for them.
"""

from typing import Any

import orjson

from kcpshard.admission.attributes import CREATE, UPDATE, Attributes
from kcpshard.api.errors import Forbidden
from kcpshard.api.objects import Object
from kcpshard.api.requests import Identity, decode_identity
from kcpshard.authorization.attributes import Attributes as RightAttributes
from kcpshard.authorization.policy import MASTERS
from kcpshard.tenancy import type_graph
from kcpshard.tenancy.directory import Directory
from kcpshard.tenancy.logical_clusters import type_of
from kcpshard.tenancy.names import (
    FINALIZER,
    FORK_OF,
    LOGICAL_CLUSTERS,
    NAME,
    OWNER,
    TENANCY,
    TypeReference,
    read_reference,
)
from kcpshard.tenancy.type_graph import KnownType, TypeFault

_FORK = RightAttributes("create", "changes.kcp.io", "v1alpha1", "forks")
CLUSTER_NAME = "authentication.kcp.io/cluster-name"  # extra: where a service account is one


def admit(attributes: Attributes) -> None:
    identity = decode_identity(attributes.identity)
    is_privileged = MASTERS in identity.groups and not identity.scope
    if attributes.operation == CREATE:
        _admit_new(attributes, identity, is_privileged)
    elif attributes.operation == UPDATE and not is_privileged:
        _check_kept(attributes)


def _admit_new(attributes: Attributes, identity: Identity, is_privileged: bool) -> None:
    obj = attributes.object
    assert obj is not None
    meta, spec = obj["metadata"], obj.setdefault("spec", {})
    if spec.get("mount"):
        raise _refusal(attributes, "spec.mount: workspaces that are served elsewhere are not supported")
    if spec.get("location"):
        text = "the shard follows from the path; an administrator of the installation moves it (kcp move)"
        raise _refusal(attributes, f"spec.location: {text}")
    if not is_privileged:
        for member in ("cluster", "URL"):
            if spec.get(member):
                raise _refusal(attributes, f"spec.{member} can only be set by system privileged users")
        meta["annotations"] = {**(meta.get("annotations") or {}), OWNER: user_info(identity, _path(attributes))}
    if FINALIZER not in (meta.get("finalizers") or ()):
        meta["finalizers"] = [*(meta.get("finalizers") or ()), FINALIZER]
    directory = attributes.registry.directory if attributes.registry is not None else None
    if directory is None:
        raise _refusal(attributes, "workspace types cannot be looked up here")
    origin = (meta.get("annotations") or {}).get(FORK_OF)
    if origin and not is_privileged and not directory.may(attributes.identity, origin, _FORK):
        raise _refusal(attributes, f"{FORK_OF}: missing verb='create' permission on forks.{_FORK.group} in {origin}")
    try:
        types = _types(attributes, directory, spec)
    except TypeFault as fault:
        raise _refusal(attributes, str(fault)) from None
    spec["type"] = {"name": types[0].reference.name, "path": types[0].reference.path}
    if labels := type_graph.added_labels(types):
        meta["labels"] = {**labels, **(meta.get("labels") or {})}


def _types(attributes: Attributes, directory: Directory, spec: Object) -> list[KnownType]:
    """All that the new workspace is. Raises TypeFault."""
    place = _path(attributes)
    above = _parent_type(attributes, place)
    parent = _known(above, directory, "parent type cannot be resolved")
    wanted = read_reference(spec.get("type") or {})
    if not wanted.name:
        default = type_graph.default_child(parent)
        if default is None:
            raise TypeFault(f"spec.defaultChildWorkspaceType of workspace type {above} must be set")
        wanted = default
    found = directory.find_type
    types = type_graph.everything_it_is(type_graph.resolve(wanted, place, found), found)
    for each in types:
        if not directory.may_use(attributes.identity, each.reference):
            text = "missing verb='use' permission on workspacetype"
            raise TypeFault(f"unable to use workspace type {each.reference}: {text}")
    faults = type_graph.limit_faults(type_graph.everything_it_is(parent, found), types)
    if faults:
        raise TypeFault(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")
    return types


def _known(reference: TypeReference, directory: Directory, otherwise: str) -> KnownType:
    spec = directory.find_type(reference)
    if spec is None:
        raise TypeFault(f"{otherwise}: workspace type {reference} not found")
    return KnownType(reference, spec)


def _path(attributes: Attributes) -> str:
    if attributes.cluster is not None:
        return attributes.cluster.path
    assert attributes.request is not None
    return attributes.request.cluster


def _parent_type(attributes: Attributes, path: str) -> TypeReference:
    """Of the workspace in which the new one lies."""
    return type_of(attributes.stored(LOGICAL_CLUSTERS, "", NAME), path)


def user_info(identity: Identity, path: str) -> str:
    """As kcp writes down who has made a workspace in the logical cluster `path`."""
    info: dict[str, Any] = {"username": identity.username, "groups": list(identity.groups)}
    if identity.uid:
        info["uid"] = identity.uid
    extra = {key: list(values) for key, values in identity.extra.items()}
    if identity.scope:
        extra[CLUSTER_NAME] = [path]
    if extra:
        info["extra"] = extra
    return orjson.dumps(info).decode()


def _check_kept(attributes: Attributes) -> None:
    """What only the system may change. The type is kept by the rules of the schema."""
    new, old = attributes.object, attributes.old
    assert new is not None and old is not None
    for member in ("cluster", "URL"):
        if (new.get("spec") or {}).get(member) != (old.get("spec") or {}).get(member):
            raise _refusal(attributes, f"spec.{member} can only be changed by system privileged users")
    if ((new.get("spec") or {}).get("type") or {}) != ((old.get("spec") or {}).get("type") or {}):
        raise _refusal(attributes, "spec.type is immutable")
    if _owner(new) != _owner(old):
        raise _refusal(attributes, f"annotation {OWNER} is immutable")
    had, has = (FINALIZER in (each["metadata"].get("finalizers") or ()) for each in (old, new))
    if had and not has:
        raise _refusal(attributes, f"finalizer {FINALIZER} can only be removed by system privileged users")


def _owner(obj: Object) -> Any:
    return (obj["metadata"].get("annotations") or {}).get(OWNER)


def _refusal(attributes: Attributes, text: str) -> Forbidden:
    name = attributes.name
    shown = f'workspaces.{TENANCY} "{name}" is forbidden: {text}'
    return Forbidden(shown, name=name, group=TENANCY, kind="workspaces")
