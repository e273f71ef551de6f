from kcpshard.definitions.kinds.affinity_faults import toleration_faults


def test_a_toleration_without_key_tolerates_everything() -> None:
    assert not list(toleration_faults([{"operator": "Exists"}], "t"))
    assert [f.field for f in toleration_faults([{"operator": "Equal"}], "t")] == ["t[0].operator"]
