from typing import Any

from kcpsyncer.controllers.cluster_offers import (
    Offer,
    access_review,
    ancestors,
    consumer_finalizer,
    is_inherited,
    is_like,
    mirror,
    missing,
    provider_of,
    usable,
)


def cluster(name: str, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": {"kubeconfig": "secret", **spec}}


def test_whose_it_is() -> None:
    assert provider_of(cluster("east")) == ""
    assert provider_of({"metadata": {}, "spec": {"offeredBy": {"path": "root:infra"}}}) == "root:infra"


def test_ancestors_are_named_from_the_nearest_on() -> None:
    assert ancestors("root:a:b") == ["root:a", "root"]
    assert ancestors("root") == []


def test_the_question_names_the_consumer_and_what_it_is_in() -> None:
    spec = access_review("root:a:b", "east")["spec"]
    assert spec["groups"] == [
        "system:cluster:root:a:b",
        "system:cluster:root:a:*",
        "system:cluster:root:*",
        "system:authenticated",
    ]
    assert spec["resourceAttributes"]["verb"] == "use"
    assert spec["resourceAttributes"]["name"] == "east"


def test_a_mirror_holds_no_credentials() -> None:
    given = cluster("east", {"region": "eu"}, cordon=True, taints=[{"key": "a", "effect": "NoSchedule"}])
    given["spec"]["kubeconfigSecretRef"] = {"namespace": "default", "name": "east"}
    made = mirror("root", given, inherited=True)
    assert set(made["spec"]) == {"offeredBy", "cordon", "taints"}
    assert "secret" not in str(made) and "kubeconfig" not in str(made)
    assert made["metadata"]["labels"] == {"region": "eu"}
    assert is_inherited(made) and not is_inherited(mirror("root", given, inherited=False))


def test_what_the_provider_changes_shows() -> None:
    given = cluster("east", {"region": "eu"})
    present = mirror("root", given, inherited=True)
    present["metadata"]["labels"]["own"] = "yes"
    assert is_like(present, mirror("root", given, inherited=True))
    for changed in (cluster("east", {"region": "us"}), cluster("east", {"region": "eu"}, drain=True)):
        assert not is_like(present, mirror("root", changed, inherited=True))
    drained = mirror("root", cluster("east", {}, drain=True), inherited=True)
    assert not is_like(drained, mirror("root", cluster("east"), inherited=True))


def test_a_cluster_that_is_removed_is_drained() -> None:
    given = cluster("east")
    given["metadata"]["deletionTimestamp"] = "now"
    assert mirror("root", given, inherited=True)["spec"]["drain"] is True


def test_nearer_ones_and_own_ones_hide_others() -> None:
    offered = [("root:a", cluster("east")), ("root", cluster("east")), ("root", cluster("west"))]
    made = missing(offered, [cluster("own")])
    assert [(each["metadata"]["name"], provider_of(each)) for each in made] == [("east", "root:a"), ("west", "root")]
    assert missing(offered, [cluster("east"), cluster("west")]) == []


def test_each_consumer_holds_by_a_name_of_its_own() -> None:
    assert consumer_finalizer("root:a") != consumer_finalizer("root:b")
    assert consumer_finalizer("root:" + "a" * 500).startswith("cluster.example.dev/used-")


def test_what_is_not_there_and_what_is_forbidden_look_alike() -> None:
    assert usable(Offer(None, True)) == usable(Offer(cluster("east"), False))
    assert usable(Offer(cluster("east"), True)).status == "True"
    leaving = cluster("east")
    leaving["metadata"]["deletionTimestamp"] = "now"
    assert usable(Offer(leaving, True)).reason == "Leaving"
