from kcpshard.definitions.builtin import builtin_resources

FULL = {(r.group, r.version, r.plural): r for r in builtin_resources("full")}


def test_generation_and_fields_of_workloads() -> None:
    assert FULL["apps", "v1", "deployments"].strategy.has_generation()
    assert not FULL["", "v1", "endpoints"].strategy.has_generation()
    pods = FULL["", "v1", "pods"]
    fields = pods.strategy.selectable_fields({"spec": {"nodeName": "n"}, "status": {"phase": "Running"}})
    assert (fields["spec.nodeName"], fields["status.phase"], fields["spec.hostNetwork"]) == ("n", "Running", "")


def test_every_row_belongs_to_a_kind() -> None:
    from kcpshard.definitions.kinds import RULES

    assert set(RULES) <= {(r.group, r.kind) for r in FULL.values()}
