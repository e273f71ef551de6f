"""create: a new object, under a name of the client's or one made from `generateName`.

In kube-apiserver's order: body, namespace and name against the URL, admission that may change, metadata and the kind's
validation, admission that may refuse, and in the same loop turn the check that the name is free and the commit.
"""

from collections.abc import Sequence

from kcpshard.admission import chain
from kcpshard.admission.attributes import CREATE, Attributes
from kcpshard.admission.webhook_calls import replay_of
from kcpshard.api.errors import AlreadyExists, ApiError, BadRequest, Forbidden, object_exists, object_invalid
from kcpshard.api.objects import Object, metadata
from kcpshard.api.requests import Answer, Request, decode_identity
from kcpshard.definitions.contract import Resource
from kcpshard.storage.contract import LogicalCluster
from kcpshard.tenancy import logical_clusters
from kcpshard.tenancy.names import WORKSPACES
from kcpshard.verbs import births, escalation, field_managers, reviews, workspace_births
from kcpshard.verbs import metadata as rules
from kcpshard.verbs.decoding import decode_object
from kcpshard.verbs.field_validation import check_options, checked_fields
from kcpshard.verbs.finalization import NAMESPACE
from kcpshard.verbs.outcome import AfterSync, Outcome
from kcpshard.verbs.parameter_rights import check_parameters
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import Target, find_target, method_not_allowed
from kcpshard.verbs.writes import commit_object, dry_run_body, object_answer, put_of, recorded_answer

_NAME_ATTEMPTS = 8


def create(shard: Shard, request: Request) -> Outcome:
    target = find_target(shard, request, "create", pending=True)
    cluster, resource, _ = target
    if request.repeat and (found := recorded_answer(shard, target, request)):
        return found
    if resource.namespaced and not request.namespace:
        raise method_not_allowed()
    check_options(request, "CreateOptions")
    obj = decode_object(request.body, resource, shard.catalog, cluster)
    warnings = checked_fields(request, resource, obj)
    check_namespace(metadata(obj), request.namespace)
    if resource.virtual:
        return reviews.review(shard, target, request, obj, warnings)
    try:
        return create_object(shard, target, request, obj, warnings)
    except ApiError as error:
        deprecation = [resource.deprecation] if resource.deprecation else []
        error.warnings = [*deprecation, *warnings, *error.warnings]
        raise


def check_namespace(meta: Object, namespace: str) -> None:
    """The namespace of the URL counts; the object may repeat it. Of a cluster-scoped object it is ignored."""
    if namespace and meta.get("namespace") not in (None, "", namespace):
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")


def create_object(
    shard: Shard,
    target: Target,
    request: Request,
    obj: Object,
    warnings: Sequence[str],
    entries: list[Object] | None = None,
) -> Answer | AfterSync:
    """Store `obj`, decoded and without unknown fields; also an update or an apply that creates. `entries` are its
    managedFields where they are known already."""
    cluster, resource, stored = target
    if resource.definition is not None and resource.definition.summary.terminating:
        raise _terminating(resource, obj["metadata"].get("name", ""))
    meta = obj["metadata"]
    generates = not meta.get("name") and bool(meta.get("generateName"))
    if generates:
        told = replay_of(request).pinned.get("name")
        if told:
            meta["name"] = told  # webhooks have been told this name
        else:
            _generate_name(shard, target, request.namespace, meta)
    duplicates = rules.deduplicate_owners(meta)
    new, given_version = _filled(shard, target, request, obj, entries)
    name = new["metadata"].get("name", "")
    attributes = Attributes(
        CREATE, shard.store, cluster, resource, "", request.namespace, name, new, None, request.identity,
        request.dry_run, [], shard.admission, request, None, generates,
    )  # fmt: skip
    noted = chain.mutate(attributes)
    escalation.confirm(shard, target, request, new, None)
    early = resource.strategy.early_warnings(new)
    _prepare(resource, new, request)
    chain.allocate(attributes)
    check_created(resource, new, given_version, early)
    check_parameters(shard, request.cluster, attributes)
    own = [*early, *resource.strategy.warnings(new)]
    judged = chain.validated(attributes, own)
    if stored is not resource:
        new = shard.catalog.convert(new, stored)
    warnings = [*warnings, *duplicates, *noted.warnings, *own, *judged.warnings]
    if cluster is not None and shard.store.pending(cluster, stored.group_resource, request.namespace, name) is not None:
        raise object_exists(resource.group, resource.plural, name)
    birth = None
    if stored.group_resource == WORKSPACES and shard.bears_workspaces and not shard.staged and not request.dry_run:
        begun = workspace_births.at_once(shard, request.cluster, new)
        if begun is not None:
            new, birth = begun
    put = put_of(stored, new, request.namespace)
    if request.dry_run and not shard.staged:
        body = dry_run_body(shard, target, new, "")
        return object_answer(resource, request, 201, body, warnings)
    companions = attributes.companions
    if stored.group_resource == NAMESPACE:
        companions = [*companions, *shard.contents.puts(name, shard.now_us())]
    parent = _alive(shard, request, cluster)
    if birth is None:
        return commit_object(shard, parent, resource, put, request, 201, warnings, companions)
    with shard.store.one_batch():
        outcome = commit_object(shard, parent, resource, put, request, 201, warnings, companions)
        workspace_births.bear(shard, birth.path, logical_clusters.document(birth))
    return outcome


def _terminating(resource: Resource, name: str) -> Forbidden:
    shown = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    text = f'{shown} "{name}" is forbidden: create not allowed while custom resource definition is terminating'
    return Forbidden(text, name=name, group=resource.group, kind=resource.plural)


def _alive(shard: Shard, request: Request, cluster: LogicalCluster | None) -> LogicalCluster:
    return cluster or births.bear(shard, request.cluster, decode_identity(request.identity))[0]


def _filled(
    shard: Shard, target: Target, request: Request, obj: Object, entries: list[Object] | None
) -> tuple[Object, object]:
    """The object with server-set metadata and defaults; and the resourceVersion that it came with."""
    resource = target.resource
    given = obj["metadata"]
    meta = rules.fill_created(given, request.namespace, shard.now_us())
    new = {**obj, "metadata": meta}
    resource.strategy.default(new)
    if entries is None:
        entries = field_managers.after_create(shard, target, request, new, given.get("managedFields"))
    if entries:
        new["metadata"]["managedFields"] = entries
    return new, given.get("resourceVersion")


def _prepare(resource: Resource, new: Object, request: Request) -> None:
    """What the kind's strategy sets and resets, once nobody changes the object any more."""
    strategy = resource.strategy
    strategy.attribute(new, decode_identity(request.identity))
    strategy.prepare_create(new)
    strategy.default(new)
    if strategy.has_generation():
        new["metadata"]["generation"] = 1


def check_created(resource: Resource, new: Object, given_version: object, warnings: list[str] | None = None) -> None:
    """Raise Invalid with every fault of metadata and kind; `warnings` come with it."""
    meta = new["metadata"]
    faults = rules.created_faults(meta, resource.metadata_rules) + resource.strategy.validate_create(new)
    faults = faults or rules.later_faults(meta, resource.metadata_rules)
    if faults:
        group = (resource.storage_resource or resource).group
        error = object_invalid(group, resource.kind, meta.get("name", ""), faults)
        error.warnings = warnings or []
        raise error
    if isinstance(given_version, str) and given_version.isascii() and given_version.isdigit() and int(given_version):
        # kube-apiserver's storage finds this out, and so its answer is a 500 without a reason.
        # 500 in kube-apiserver, though the fault is the client's.
        raise BadRequest("resourceVersion should not be set on objects to be created")


def _generate_name(shard: Shard, target: Target, namespace: str, meta: Object) -> None:
    """Give `meta` a free name, or raise AlreadyExists when eight in a row were taken."""
    cluster, resource, stored = target
    name = ""
    for _ in range(_NAME_ATTEMPTS):
        name = rules.generated_name(meta["generateName"])
        if cluster is None or shard.store.pending(cluster, stored.group_resource, namespace, name) is None:
            meta["name"] = name
            return
    shown = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    raise AlreadyExists(
        f'{shown} "{name}" already exists, the server was not able to generate a unique name for the object',
        name=name,
        group=resource.group,
        kind=resource.plural,
        retry_after_s=1,
    )
