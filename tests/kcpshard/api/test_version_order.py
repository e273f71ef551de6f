from kcpshard.api.version_order import version_priority


def test_stable_versions_come_first_and_the_newest_of_them() -> None:
    ordered = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"]
    assert sorted(reversed(ordered), key=version_priority) == ordered
