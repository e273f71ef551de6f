from kcpshard.admission.webhook_definitions import webhooks_of


def test_each_webhook_of_a_configuration_has_an_identity_of_its_own() -> None:
    condition = {"name": "c", "expression": "request.operation == 'CREATE'"}
    hooks = [{"name": "a.b.c", "matchConditions": [condition]}, {"name": "d.e.f", "failurePolicy": "Ignore"}]
    one, two = webhooks_of({"metadata": {"name": "x"}, "webhooks": hooks})
    assert one.uid != two.uid and one.configuration == "x"
    assert one.is_failing_closed and not two.is_failing_closed
    assert one.conditions[0].program is not None and one.conditions is one.conditions and not two.conditions
