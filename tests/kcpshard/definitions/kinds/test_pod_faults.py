from kcpshard.definitions.kinds.pod_defaults import default_pod_spec
from kcpshard.definitions.kinds.pod_faults import pod_spec_faults


def test_containers_of_all_sorts_share_their_names() -> None:
    container = {"name": "a", "image": "x"}
    spec = {"containers": [dict(container)], "initContainers": [dict(container)]}
    default_pod_spec(spec)
    assert [f.field for f in pod_spec_faults(spec, "spec", is_pod=True)] == ["spec.initContainers[0].name"]
