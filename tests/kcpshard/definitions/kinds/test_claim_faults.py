from kcpshard.definitions.kinds.claim_faults import claim_spec_faults


def test_a_claim_names_mode_and_size() -> None:
    assert [f.field for f in claim_spec_faults({}, "spec")] == ["spec.accessModes", "spec.resources[storage]"]
    good = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    assert not list(claim_spec_faults(good, "spec"))
