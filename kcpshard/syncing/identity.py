"""Whose agent is calling. Never by its word alone.

An agent inside a physical cluster shows a certificate of the logical cluster where its Cluster is registered: it names
the uid of the Cluster, and the logical cluster by its id. Processes of the installation (the unix socket, the role
syncer) run the agents of many clusters, and are believed; for both, the Cluster must be there.
"""

from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

from kcpshard.api.certificate_scope import AUTHORITY_NAME, EXTENSION_OID, decode_scope
from kcpshard.api.errors import Forbidden
from kcpshard.api.requests import Identity
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.roles import SYNCER, certificate_roles
from kcpshard.verbs.shard import SYSTEM

GROUP = "system:kcp:syncers"
PREFIX = "system:kcp:syncer:"
_SCOPE = ObjectIdentifier(EXTENSION_OID)
_MASTERS = ("system:masters", GROUP, "system:authenticated")


def syncer_roles(context: Any) -> frozenset[str]:
    """Of a listener that agents can reach over the network. A certificate of a logical cluster is an agent's or
    nobody's, whatever role it claims."""
    leaf = _leaf(context)
    if leaf is None or not _is_of_a_logical_cluster(leaf):
        return certificate_roles(context) & {SYNCER}
    return frozenset({SYNCER}) if _agent_identity(leaf) is not None else frozenset()


def asks_as(context: Any, claimed: pb.SyncAgent) -> bytes:
    """As whom to ask for the Cluster that is claimed: the answer is no if the claim is false. Raises Forbidden."""
    leaf = _leaf(context)
    if leaf is None or not _is_of_a_logical_cluster(leaf):
        return SYSTEM
    found = _agent_identity(leaf)
    if found is None or found.username != PREFIX + claimed.uid:
        raise Forbidden("the certificate is not that of this Cluster's agent")
    return found.encode()


def acts_as(agent: pb.SyncAgent) -> bytes:
    """The identity of requests that have passed the gate."""
    return Identity(PREFIX + agent.uid, "", _MASTERS).encode()


def _leaf(context: Any) -> x509.Certificate | None:
    pem = context.auth_context().get("x509_pem_cert")
    return x509.load_pem_x509_certificate(bytes(pem[0])) if pem else None


def _is_of_a_logical_cluster(leaf: x509.Certificate) -> bool:
    names = leaf.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    return any(str(each.value).startswith(AUTHORITY_NAME) for each in names)


def _agent_identity(leaf: x509.Certificate) -> Identity | None:
    names = [str(each.value) for each in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = [str(each.value) for each in leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    scope = _scope(leaf)
    if len(names) != 1 or groups != [GROUP] or not names[0].startswith(PREFIX) or not scope:
        return None
    return Identity(names[0], "", (GROUP, "system:authenticated"), {}, scope)


def _scope(leaf: x509.Certificate) -> int:
    try:
        found = leaf.extensions.get_extension_for_oid(_SCOPE).value
    except x509.ExtensionNotFound:
        return 0
    return decode_scope(found.value) if isinstance(found, x509.UnrecognizedExtension) else 0
