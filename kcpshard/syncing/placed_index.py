"""Which objects of this shard are for which physical clusters, by what names them. Pure.

A *subject* is what makes an object somebody's: the label that places it, the label of an import, the name of a Cluster.
Equal subjects in different logical clusters may mean different physical clusters; that is for others to tell apart.
"""

from collections.abc import Mapping
from typing import NamedTuple

PLACED_LABEL = "kcp.dev/cluster"
LOCATION_LABEL = "kcp.dev/location"
IMPORTS = "apiresourceimports.apiresource.kcp.dev"
CLUSTERS = "clusters.cluster.example.dev"
_PLACED_MARK, _LOCATION_MARK = b'"kcp.dev/cluster"', b'"kcp.dev/location"'


class Place(NamedTuple):
    """Of one object. `group_resource`: "deployments.apps"."""

    cluster_id: int
    group_resource: str
    namespace: str
    name: str


class Subject(NamedTuple):
    """Why an object is somebody's: `kind` is placed, import or registration; `name` of the Cluster."""

    kind: str
    name: str


PLACED, IMPORT, REGISTRATION = "placed", "import", "registration"


def mark_of(group_resource: str) -> bytes:
    """What must be in the raw labels of an object that is somebody's; empty where its name decides."""
    return b"" if group_resource == CLUSTERS else _LOCATION_MARK if group_resource == IMPORTS else _PLACED_MARK


def subject_of(place: Place, labels: Mapping[str, str]) -> Subject | None:
    if place.group_resource == CLUSTERS:
        return Subject(REGISTRATION, place.name)
    if place.group_resource == IMPORTS:
        return Subject(IMPORT, labels[LOCATION_LABEL]) if LOCATION_LABEL in labels else None
    return Subject(PLACED, labels[PLACED_LABEL]) if labels.get(PLACED_LABEL) else None


class PlacedIndex:
    """Places by subject, each with the revision of its object."""

    def __init__(self) -> None:
        self._places: dict[Subject, dict[Place, int]] = {}

    def put(self, subject: Subject, place: Place, revision: int) -> None:
        self._places.setdefault(subject, {})[place] = revision

    def remove(self, subject: Subject, place: Place) -> None:
        places = self._places.get(subject)
        if places is not None and places.pop(place, None) is not None and not places:
            del self._places[subject]

    def of(self, subject: Subject) -> Mapping[Place, int]:
        """Not to be changed."""
        return self._places.get(subject) or {}

    def drop_cluster(self, cluster_id: int) -> None:
        for subject, places in list(self._places.items()):
            for place in [place for place in places if place.cluster_id == cluster_id]:
                del places[place]
            if not places:
                del self._places[subject]

    def __len__(self) -> int:
        return sum(map(len, self._places.values()))
