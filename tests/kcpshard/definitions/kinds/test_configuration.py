from tests.kcpshard.definitions.submission import create, resource, update

CONFIG_MAPS, SECRETS = resource("configmaps"), resource("secrets")
MEBIBYTE = 1024 * 1024


def test_size_counts_bytes_of_all_values() -> None:
    half = MEBIBYTE // 2
    assert create(CONFIG_MAPS, data={"a": "x" * half, "b": "y" * half})[1] == []
    assert create(CONFIG_MAPS, data={"a": "x" * half, "b": "y" * (half + 1)})[1] == ["[]"]
    assert create(CONFIG_MAPS, data={"a": "é" * half, "b": "y"})[1] == ["[]"]
    assert create(CONFIG_MAPS, data={"a": "x" * MEBIBYTE}, binaryData={"b": "YQ=="})[1] == ["[]"]
    assert create(SECRETS, data={"a": "YWFh" * (MEBIBYTE // 3)})[1] == []
    assert create(SECRETS, data={"a": "YWFh" * (MEBIBYTE // 3 + 1)})[1] == ["data"]


def test_string_data_is_merged_and_forgotten() -> None:
    found, faults = create(SECRETS, stringData={"a": "b"}, data={"a": "eA==", "c": "eQ=="})
    assert faults == [] and found["data"] == {"a": "Yg==", "c": "eQ=="}
    assert "stringData" not in found and found["type"] == "Opaque"


def test_immutable_stays() -> None:
    old, _ = create(CONFIG_MAPS, data={"a": "b"}, immutable=True)
    assert update(CONFIG_MAPS, old)[1] == []
    assert update(CONFIG_MAPS, old, immutable=False, data={})[1] == ["immutable", "data"]
    free, _ = create(CONFIG_MAPS, data={"a": "b"})
    assert update(CONFIG_MAPS, free, immutable=True, data={})[1] == []


def test_a_secret_keeps_its_type() -> None:
    old, _ = create(SECRETS, type="a/b")
    assert update(SECRETS, old, type="c")[1] == ["type"]
    assert SECRETS.strategy.selectable_fields(old) == {"type": "a/b"}
