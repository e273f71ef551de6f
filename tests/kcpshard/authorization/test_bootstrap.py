from kcpshard.authorization.bootstrap import bootstrap_objects


def test_every_object_of_a_new_server_is_there() -> None:
    found = {
        (each.group_resource.partition(".")[0], each.namespace, each.name): each.document
        for each in bootstrap_objects()
    }
    assert len(found) == 133
    assert found["clusterroles", "", "cluster-admin"]["rules"][0]["verbs"] == ["*"]
    assert ("rolebindings", "kube-system", "system:controller:token-cleaner") in found


def test_aggregated_roles_are_filled_in() -> None:
    rules = {
        each.name: each.document["rules"] for each in bootstrap_objects() if each.document["kind"] == "ClusterRole"
    }
    assert len(rules["admin"]) > len(rules["edit"]) > len(rules["view"]) > 5
    assert all(rule in rules["admin"] for rule in rules["edit"])
