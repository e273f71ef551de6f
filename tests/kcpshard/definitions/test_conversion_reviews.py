import orjson
import pytest

from kcpshard.definitions.conversion_reviews import ConversionFault, judged, question
from tests.contracts.converting import answer, ending


@pytest.mark.parametrize(("versions", "chosen"), [(["v1"], "v1"), (["v1beta1", "v1"], "v1beta1"), (["v7", "v1"], "v1")])
def test_the_first_known_version_is_spoken(versions: list[str], chosen: str) -> None:
    version, body = question(versions, [ending("v1", "a")], "example.com/v2", "u")
    assert version == chosen
    review = orjson.loads(body)
    assert review["apiVersion"] == f"apiextensions.k8s.io/{chosen}"
    assert review["request"]["desiredAPIVersion"] == "example.com/v2"


def test_no_version_is_known() -> None:
    with pytest.raises(ConversionFault, match="no supported conversion review versions"):
        question(["v7"], [], "example.com/v2", "u")


def test_v1beta1_does_not_look_at_the_uid() -> None:
    objects = [ending("v1", "a")]
    version, body = question(["v1beta1"], objects, "example.com/v2", "u")
    review = answer(orjson.loads(body))
    review["response"]["uid"] = "other"
    found = judged(version, orjson.dumps(review), objects, "example.com/v2", "u")
    assert found[0]["spec"] == {"host": "localhost", "port": "8080"}


def test_several_keep_their_order() -> None:
    objects = [ending("v1", name) for name in "cab"]
    version, body = question(["v1"], objects, "example.com/v2", "u")
    found = judged(version, orjson.dumps(answer(orjson.loads(body))), objects, "example.com/v2", "u")
    assert [obj["metadata"]["name"] for obj in found] == ["c", "a", "b"]
