from kcpshard.verbs.subresource_forms import form_of


def test_a_form_has_the_fields_of_its_kind() -> None:
    form = form_of("policy", "v1beta1", "evictions", "Eviction", "v1")
    assert (form.api_version, form.group_resource) == ("policy/v1beta1", "evictions.policy")
    assert form.schema is not None and "deleteOptions" in (form.schema.properties or {})
    assert form_of("", "v1", "bindings", "Binding").api_version == "v1"
