from kcpshard.definitions.builtin import builtin_resources

FULL = {r.kind: r for r in builtin_resources("full")}


def test_volumes_and_claims_are_protected() -> None:
    for kind, finalizer in (
        ("PersistentVolume", "kubernetes.io/pv-protection"),
        ("PersistentVolumeClaim", "kubernetes.io/pvc-protection"),
    ):
        obj = {"metadata": {}, "spec": {}, "status": {"phase": "Bound"}}
        FULL[kind].strategy.prepare_create(obj)
        assert obj["metadata"] == {"finalizers": [finalizer]}
        assert obj["status"]["phase"] == "Pending"
