from copy import deepcopy

from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.disabled_fields import in_pod, in_template

SPEC: Object = {
    "schedulingGroup": {"podGroupName": "g"},
    "containers": [
        {"name": "a", "lifecycle": {"stopSignal": "SIGTERM"}},
        {"name": "b", "lifecycle": {"stopSignal": "SIGTERM", "preStop": {"sleep": {"seconds": 1}}}},
    ],
    "volumes": [{"name": "v", "projected": {"sources": [{"clusterTrustBundle": {"path": "p"}}, {"secret": {}}]}}],
}


def test_what_nobody_uses_yet_is_dropped() -> None:
    pod = {"spec": deepcopy(SPEC)}
    in_pod(pod, None)
    assert pod["spec"] == {
        "containers": [{"name": "a"}, {"name": "b", "lifecycle": {"preStop": {"sleep": {"seconds": 1}}}}],
        "volumes": [{"name": "v", "projected": {"sources": [{}, {"secret": {}}]}}],
    }


def test_what_is_used_stays() -> None:
    pod = {"spec": deepcopy(SPEC)}
    in_pod(pod, {"spec": SPEC})
    assert pod["spec"] == SPEC


def test_templates_lie_at_a_path_of_their_kind() -> None:
    job = {"spec": {"jobTemplate": {"spec": {"template": {"spec": {"schedulingGroup": {}}}}}}}
    in_template("spec", "jobTemplate", "spec", "template")(job, None)
    assert job == {"spec": {"jobTemplate": {"spec": {"template": {"spec": {}}}}}}
    in_template("spec", "template")({"spec": {}}, {})
