from kcpshard.definitions.kinds.volume_warnings import claim_warnings, class_warnings, volume_warnings


def test_what_is_deprecated_in_a_volume() -> None:
    term = {"matchExpressions": [{"key": "beta.kubernetes.io/os", "operator": "Exists"}]}
    spec = {
        "persistentVolumeReclaimPolicy": "Recycle",
        "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
        "rbd": {},
    }
    annotations = {"volume.beta.kubernetes.io/mount-options": "x"}
    found = [
        text.partition(": ")[0] for text in volume_warnings({"metadata": {"annotations": annotations}, "spec": spec})
    ]
    assert found == [
        "metadata.annotations[volume.beta.kubernetes.io/mount-options]",
        "spec.persistentVolumeReclaimPolicy",
        "spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key",
        "spec.rbd",
    ]


def test_a_claim_of_a_part_of_a_byte() -> None:
    claim = {"metadata": {}, "spec": {"resources": {"requests": {"storage": "100m"}, "limits": {"storage": "1Gi"}}}}
    assert list(claim_warnings(claim)) == [
        'spec.resources.requests[storage]: fractional byte value "100m" is invalid, must be an integer'
    ]


def test_a_class_for_zones_by_their_older_name() -> None:
    terms = [{"matchLabelExpressions": [{"key": "zone"}, {"key": "failure-domain.beta.kubernetes.io/zone"}]}]
    assert [text.partition(": ")[0] for text in class_warnings({"allowedTopologies": terms})] == [
        "allowedTopologies[0].matchLabelExpressions[1].key"
    ]
