"""The words of kcp's workspace API on the wire, and references to workspace types."""

from collections.abc import Mapping
from typing import Any, NamedTuple

TENANCY, CORE, VERSION = "tenancy.kcp.io", "core.kcp.io", "v1alpha1"
WORKSPACES, WORKSPACE_TYPES = f"workspaces.{TENANCY}", f"workspacetypes.{TENANCY}"
LOGICAL_CLUSTERS = f"logicalclusters.{CORE}"
NAME = "cluster"  # of the one LogicalCluster in each logical cluster
FINALIZER = "core.kcp.io/logicalcluster"  # of a Workspace, as long as its logical cluster exists

PATH = "kcp.io/path"
TYPE = "internal.tenancy.kcp.io/type"  # on a LogicalCluster: path:name of its type
WORKSPACE_LABELS = "internal.tenancy.kcp.io/workspace-labels"  # on a LogicalCluster: those of its Workspace, as JSON
OWNER = "experimental.tenancy.kcp.io/owner"  # on a Workspace: who made it, as JSON
FORK_OF = "changes.kcp.io/fork-of"  # on a Workspace and its LogicalCluster: the path of which it begins as the state
INACTIVE = "core.kcp.io/inactive"
PHASE_LABEL = "tenancy.kcp.io/phase"

SCHEDULING, INITIALIZING, READY, UNAVAILABLE = "Scheduling", "Initializing", "Ready", "Unavailable"
TERMINATING, DELETING = "Terminating", "Deleting"

SCHEDULED, INITIALIZED, CONTENT_DELETED = "WorkspaceScheduled", "WorkspaceInitialized", "WorkspaceContentDeleted"

INHERITED, INHERITED_RIGHTS = "InheritedAPIsServed", "InheritedRBACHolds"

ROOT = "root"
RBAC, APIS, AUTHENTICATION = "RBAC", "APIs", "Authentication"  # what may be inherited


class TypeReference(NamedTuple):
    """A workspace type by the workspace that holds it."""

    path: str
    name: str

    def __str__(self) -> str:
        return f"{self.path}:{self.name}" if self.path else self.name


def read_reference(raw: Mapping[str, Any]) -> TypeReference:
    return TypeReference(raw.get("path") or "", raw.get("name") or "")


def parse_reference(text: str) -> TypeReference:
    path, _, name = text.rpartition(":")
    return TypeReference(path, name)


def parent(path: str) -> str:
    """Of a path; "" for one without."""
    return path.rpartition(":")[0]


def ancestors(path: str) -> list[str]:
    """Nearest first."""
    found = []
    while path := parent(path):
        found.append(path)
    return found
