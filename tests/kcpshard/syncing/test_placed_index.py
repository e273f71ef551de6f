from kcpshard.syncing.placed_index import (
    CLUSTERS,
    IMPORT,
    IMPORTS,
    PLACED,
    REGISTRATION,
    Place,
    PlacedIndex,
    Subject,
    mark_of,
    subject_of,
)

WEB, API = Place(1, "deployments.apps", "a", "web"), Place(2, "deployments.apps", "a", "api")


def test_what_makes_an_object_somebodys() -> None:
    assert subject_of(WEB, {"kcp.dev/cluster": "east"}) == Subject(PLACED, "east")
    assert subject_of(WEB, {"kcp.dev/cluster": ""}) is None and subject_of(WEB, {}) is None
    assert subject_of(Place(1, IMPORTS, "", "x"), {"kcp.dev/location": "east"}) == Subject(IMPORT, "east")
    assert subject_of(Place(1, IMPORTS, "", "x"), {"kcp.dev/cluster": "east"}) is None
    assert subject_of(Place(1, CLUSTERS, "", "east"), {}) == Subject(REGISTRATION, "east")
    assert mark_of(CLUSTERS) == b"" and mark_of(IMPORTS) != mark_of("deployments.apps")


def test_places_come_and_go() -> None:
    index, east = PlacedIndex(), Subject(PLACED, "east")
    index.put(east, WEB, 5)
    index.put(east, WEB, 6)
    index.put(east, API, 7)
    assert index.of(east) == {WEB: 6, API: 7} and len(index) == 2
    index.drop_cluster(1)
    assert index.of(east) == {API: 7}
    index.remove(east, API)
    index.remove(east, API)
    assert not index.of(east) and not len(index)
