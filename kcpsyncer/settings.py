"""Every knob of the multi-cluster controllers, with unit, default and reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    # What a Cluster that names nothing itself gets imported and synchronised, as the prototype does.
    resources: tuple[str, ...] = ("pods", "deployments.apps")
    # Whether a newly negotiated API is offered at once, or when somebody says so.
    auto_publish: bool = False
    # Logical clusters where Clusters may be registered: who registers one has us connect to an address of his choice.
    logical_clusters: tuple[str, ...] = ("root", "admin", "user")
    # Whether all others where Clusters are defined are served too, with clusters that are offered to them.
    everywhere: bool = True
    sync: tuple[str, ...] = ()  # where shards take agents' streams, as in the map
    sync_authority: str = ""  # PEM: whom agents on the network know shards by
