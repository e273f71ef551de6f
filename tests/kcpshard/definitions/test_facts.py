from kcpshard.definitions import facts


def test_every_resource_has_a_schema() -> None:
    without = [f.plural for f in facts.resources() if facts.schema_of(f.group, f.version, f.kind) is None]
    assert without == []
    assert len(list(facts.resources())) > 60


def test_a_definition_is_one_value_however_it_is_reached() -> None:
    config_map, secret = facts.schema_of("", "v1", "ConfigMap"), facts.schema_of("", "v1", "Secret")
    assert config_map is not None and config_map.properties is not None
    assert secret is not None and secret.properties is not None
    assert (
        config_map.properties["metadata"]
        is secret.properties["metadata"]
        is facts.definition(f"{facts.META}ObjectMeta")
    )
    assert config_map.properties["kind"] is secret.properties["kind"]


def test_patch_and_list_facts() -> None:
    pod = facts.schema_of("", "v1", "PodTemplate")
    assert pod is not None and pod.properties is not None
    spec = pod.properties["template"].properties["spec"].properties  # type: ignore[union-attr,index]
    assert spec is not None
    containers, volumes = spec["containers"], spec["volumes"]
    assert (containers.list_type, containers.list_map_keys, containers.merge_key) == ("map", ("name",), "name")
    assert volumes.patch_strategy == "merge,retainKeys"
    meta = facts.definition(f"{facts.META}ObjectMeta").properties
    assert meta is not None
    assert (meta["finalizers"].list_type, meta["finalizers"].patch_strategy) == ("set", "merge")
    assert (meta["ownerReferences"].merge_key, meta["ownerReferences"].go_type) == ("uid", "[]v1.OwnerReference")


def test_a_recursive_definition_is_whole() -> None:
    schema = facts.definition("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps")
    assert schema.properties is not None
    inner = schema.properties["properties"].values
    assert inner is not None and inner.properties is schema.properties
    assert schema.properties["allOf"].items is schema


def test_version_of_the_facts() -> None:
    assert facts.kubernetes_version()["minor"] == "36"
