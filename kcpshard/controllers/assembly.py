"""Which controllers a shard runs: one line each."""

from collections.abc import Callable, Collection, Coroutine
from typing import Any

from kcpshard.controllers import (
    admission_policy_status,
    api_bindings,
    api_exports,
    api_service_registration,
    birth_contents,
    certificate_signing,
    cluster_role_aggregation,
    event_expiry,
    flow_schema_status,
    garbage_collection,
    logical_clusters,
    namespace_deletion,
    resource_quota,
    service_account_tokens,
    service_ranges,
    workspace_types,
    workspaces,
)
from kcpshard.controllers.admission_policy_status import AdmissionPolicyStatus
from kcpshard.controllers.api_bindings import ApiBindings
from kcpshard.controllers.api_exports import ApiExports
from kcpshard.controllers.api_service_registration import ApiServiceRegistration
from kcpshard.controllers.birth_contents import BirthContentsController
from kcpshard.controllers.certificate_signing import CertificateSigning
from kcpshard.controllers.cluster_role_aggregation import ClusterRoleAggregation
from kcpshard.controllers.contract import Controller
from kcpshard.controllers.event_expiry import EventExpiry
from kcpshard.controllers.export_followers import ExportFollowers
from kcpshard.controllers.flow_schema_status import FlowSchemaStatus
from kcpshard.controllers.garbage_collection import GarbageCollection
from kcpshard.controllers.logical_clusters import LogicalClusters
from kcpshard.controllers.namespace_contents import root_certificates, service_accounts
from kcpshard.controllers.namespace_deletion import NamespaceDeletion
from kcpshard.controllers.resource_quota import ResourceQuota
from kcpshard.controllers.runner import Runner
from kcpshard.controllers.service_account_tokens import ServiceAccountTokens
from kcpshard.controllers.service_ranges import ServiceRanges
from kcpshard.controllers.workspace_types import WorkspaceTypes
from kcpshard.controllers.workspaces import Workspaces
from kcpshard.settings import EVENTS, Settings
from kcpshard.verbs.namespace_contents import NamespaceContents
from kcpshard.verbs.shard import Shard

_SERVICE_ACCOUNTS, _ROOT_CERTIFICATES = "serviceaccount-controller", "root-ca-certificate-publisher-controller"


def namespace_contents(enabled: Collection[str], root_certificate: str) -> NamespaceContents:
    """What is switched off is not put into a new namespace either: whoever is attached does that."""
    certificate = root_certificate if _ROOT_CERTIFICATES in enabled else ""
    return NamespaceContents(_SERVICE_ACCOUNTS in enabled, certificate)


def assemble(shard: Shard, enabled: Collection[str]) -> Runner:
    made: list[Callable[[Runner], Controller]] = []
    if namespace_deletion.NAME in enabled:
        made.append(lambda _: NamespaceDeletion(shard))
    if _SERVICE_ACCOUNTS in enabled:
        made.append(lambda _: service_accounts(shard))
    if shard.contents.root_certificate:
        made.append(lambda _: root_certificates(shard))
    if birth_contents.NAME in enabled and shard.birth.kept:
        made.append(lambda _: BirthContentsController(shard))
    if service_account_tokens.NAME in enabled:
        made.append(lambda _: ServiceAccountTokens(shard))
    if certificate_signing.NAME in enabled:
        made.append(lambda _: CertificateSigning(shard))
    if garbage_collection.NAME in enabled:
        made.append(lambda runner: GarbageCollection(shard, runner.add))
    if resource_quota.NAME in enabled:
        made.append(lambda runner: ResourceQuota(shard, runner.is_active))
    if cluster_role_aggregation.NAME in enabled:
        made.append(lambda _: ClusterRoleAggregation(shard))
    if admission_policy_status.NAME in enabled:
        made.append(lambda _: AdmissionPolicyStatus(shard))
    if flow_schema_status.NAME in enabled:
        made.append(lambda _: FlowSchemaStatus(shard))
    if api_service_registration.NAME in enabled:
        made.append(lambda _: ApiServiceRegistration(shard))
    if service_ranges.NAME in enabled:
        made.append(lambda _: ServiceRanges(shard))
    if workspaces.CONTROLLER in enabled:
        made.append(lambda _: Workspaces(shard))
    if workspace_types.CONTROLLER in enabled:
        made.append(lambda _: WorkspaceTypes(shard))
    if logical_clusters.CONTROLLER in enabled:
        made.append(lambda runner: LogicalClusters(shard, runner.add))
    if api_exports.CONTROLLER in enabled:
        made.append(lambda _: ApiExports(shard))
    if api_bindings.CONTROLLER in enabled:
        made.append(lambda runner: _bindings(shard, runner))
    return Runner(shard, made)


def _bindings(shard: Shard, runner: Runner) -> ApiBindings:
    enqueue = lambda cluster_id, name: runner.add(api_bindings.CONTROLLER, cluster_id, (name,))  # noqa: E731
    followers = ExportFollowers(shard, enqueue)
    runner.beside.append(followers.run)
    return ApiBindings(shard, followers)


def background(
    shard: Shard, enabled: Collection[str], settings: Settings
) -> list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]]:
    """What runs by the clock and not by changes."""
    if event_expiry.NAME not in enabled:
        return []
    return [("event expiry", EventExpiry(shard, settings.retention_s[EVENTS], shard.now_us).run)]
