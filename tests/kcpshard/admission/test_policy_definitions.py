from kcpshard.admission.policy_definitions import MutatingPolicy, ValidatingPolicy


def test_a_policy_is_compiled_once_for_all_its_bindings() -> None:
    spec = {
        "variables": [{"name": "x", "expression": "1"}, {"name": "y", "expression": "variables.x + 1"}],
        "validations": [{"expression": "variables.y == 2", "messageExpression": "string(variables.y)"}],
    }
    policy = ValidatingPolicy({"metadata": {"name": "p"}, "spec": spec})
    one, two = policy.bound_by([{}]), policy.bound_by([])
    assert one.program is two.program
    assert all(found.program for found in one.program.variables.values())
    assert one.program.validations[0].reason == "Invalid" and len(one.bindings) == 1


def test_messages_do_not_see_the_authorizer() -> None:
    shown = "authorizer.path('/').check('get').reason()"
    spec = {"validations": [{"expression": "true", "messageExpression": shown}]}
    found = ValidatingPolicy({"metadata": {"name": "p"}, "spec": spec}).program.validations[0].message_expression
    assert found is not None and found.program is None


def test_mutations_make_patches() -> None:
    spec = {
        "reinvocationPolicy": "IfNeeded",
        "mutations": [
            {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'remove', path: '/data'}]"}},
            {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{data: {'a': 'b'}}"}},
        ],
    }
    policy = MutatingPolicy({"metadata": {"name": "p"}, "spec": spec})
    assert [m.is_json_patch for m in policy.program.mutations] == [True, False]
    assert all(m.expression.program for m in policy.program.mutations) and policy.is_reinvocable
