"""The rows of the strategy table: what kube-apiserver's registry strategies and validation say of each kind."""

from collections.abc import Mapping

from kcpshard.definitions.kinds import (
    apiservices,
    certificates,
    configuration,
    crds,
    events,
    leases,
    namespaces,
    quotas,
    rbac,
    workloads,
)
from kcpshard.definitions.strategies import Rules

RULES: Mapping[tuple[str, str], Rules] = {
    **apiservices.ROWS,
    **certificates.ROWS,
    **configuration.ROWS,
    **crds.ROWS,
    **events.ROWS,
    **leases.ROWS,
    **namespaces.ROWS,
    **quotas.ROWS,
    **rbac.ROWS,
    **workloads.ROWS,
}
