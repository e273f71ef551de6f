from kcpshard.definitions.kinds.volume_faults import volumes_faults


def test_a_volume_has_one_source() -> None:
    good, faults = volumes_faults([{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}, "nfs": {}}], "v")
    assert list(good) == ["a"]
    assert [f.field for f in faults] == ["v[1].nfs"]
