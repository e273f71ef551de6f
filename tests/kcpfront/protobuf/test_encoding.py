import random

import pytest

from kcpfront.protobuf import facts
from kcpfront.protobuf.decoding import decoder
from kcpfront.protobuf.encoding import encoder, json_names
from tests.kcpfront.protobuf.filled import filled, kinds


@pytest.mark.parametrize(("api_version", "kind", "message"), kinds(), ids=lambda part: part)
def test_every_kind_round_trips(api_version: str, kind: str, message: str) -> None:
    for seed in range(3):
        value = filled(message, random.Random(f"{message}{seed}"))
        assert decoder(message)(encoder(message)(value)) == value


def test_known_bytes() -> None:
    config_map = {"kind": "ConfigMap", "metadata": {"name": "a", "labels": None}, "data": {"k": "v"}, "odd": 1}
    assert encoder("api/core/v1.ConfigMap")(config_map) == b"\x0a\x03\x0a\x01a" + b"\x12\x06\x0a\x01k\x12\x01v"


def test_inline_fields_go_into_a_message_of_their_own() -> None:
    volume = {"emptyDir": {}, "name": "v"}
    assert encoder("api/core/v1.Volume")(volume) == b"\x0a\x01v" + b"\x12\x02\x12\x00"
    assert "emptyDir" in json_names("api/core/v1.Volume")


def test_a_null_in_a_map_is_its_zero_value() -> None:
    data = encoder("api/core/v1.ConfigMap")({"data": {"k": None}})
    assert decoder("api/core/v1.ConfigMap")(data) == {"data": {"k": ""}}


@pytest.mark.parametrize("value", [[], {"metadata": "x"}, {"data": {"a": 1}}, {"metadata": {"generation": "x"}}])
def test_another_shape_is_an_error(value: object) -> None:
    with pytest.raises((AttributeError, TypeError, ValueError)):
        encoder(facts.message_of("v1", "ConfigMap"))(value)
