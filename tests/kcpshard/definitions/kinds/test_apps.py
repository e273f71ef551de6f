from kcpshard.definitions.builtin import builtin_resources

FULL = {r.kind: r for r in builtin_resources("full") if r.group == "apps"}


def test_a_changed_template_of_a_daemon_set_is_counted() -> None:
    strategy = FULL["DaemonSet"].strategy
    old = {"metadata": {"annotations": {"deprecated.daemonset.template.generation": "4"}}, "spec": {"template": {}}}
    same = {"metadata": {}, "spec": {"template": {}}}
    other = {"metadata": {}, "spec": {"template": {"spec": {}}}}
    for new, count in ((same, "4"), (other, "5")):
        strategy.prepare_update(new, old, "")
        assert new["metadata"]["annotations"] == {"deprecated.daemonset.template.generation": count}


def test_a_deployment_rolls_by_quarters() -> None:
    obj = {"metadata": {}, "spec": {}}
    FULL["Deployment"].strategy.default(obj)
    assert obj["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": "25%", "maxSurge": "25%"}  # type: ignore[index]
