"""The rows of the strategy table: what kube-apiserver's registry strategies and validation say of each kind."""

from collections.abc import Mapping

from kcpshard.definitions.kinds import (
    admission,
    apiservices,
    apps,
    autoscaling,
    batch,
    certificates,
    cluster,
    configuration,
    crds,
    devices,
    events,
    flow_control,
    leases,
    namespaces,
    networking,
    pods,
    quotas,
    rbac,
    services,
    volumes,
)
from kcpshard.definitions.strategies import Rules

RULES: Mapping[tuple[str, str], Rules] = {
    **admission.ROWS,
    **apiservices.ROWS,
    **certificates.ROWS,
    **configuration.ROWS,
    **crds.ROWS,
    **events.ROWS,
    **leases.ROWS,
    **namespaces.ROWS,
    **quotas.ROWS,
    **rbac.ROWS,
    **apps.ROWS,
    **autoscaling.ROWS,
    **batch.ROWS,
    **cluster.ROWS,
    **devices.ROWS,
    **flow_control.ROWS,
    **networking.ROWS,
    **pods.ROWS,
    **services.ROWS,
    **volumes.ROWS,
}
