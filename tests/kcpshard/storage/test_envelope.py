import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.storage import envelope

TEXTS = st.text(max_size=20)
PAIRS = st.dictionaries(TEXTS, TEXTS, max_size=4)
DOCUMENTS = st.fixed_dictionaries(
    {
        "apiVersion": TEXTS,
        "kind": TEXTS,
        "metadata": st.fixed_dictionaries(
            {"name": TEXTS, "labels": PAIRS}, optional={"annotations": PAIRS, "resourceVersion": TEXTS}
        ),
    },
    optional={"spec": st.dictionaries(TEXTS, TEXTS, max_size=3)},
)


def value_of(document: dict[str, object], revision: int = 1_800_000_000_000_000_001) -> bytes:
    json, hole, annotations = envelope.encode_object(document)
    labels, fields = envelope.encode_pairs({"b": "2", "a": "1"}), envelope.encode_pairs({"f": "v"})
    return envelope.encode(json, hole, annotations, revision, 7, "uid", "apps/v1", labels, fields, 99)


@given(DOCUMENTS)
def test_the_body_is_the_document_with_its_resource_version(document: dict[str, object]) -> None:
    value = value_of(document)
    assert envelope.faults(value) == []
    shown = orjson.loads(envelope.body(value))
    metadata = dict(document["metadata"])  # type: ignore[call-overload]
    if not metadata.get("annotations"):
        metadata.pop("annotations", None)
    assert shown == {**document, "metadata": {**metadata, "resourceVersion": "1800000000000000001"}}
    assert list(shown)[:3] == ["apiVersion", "kind", "metadata"]


@given(DOCUMENTS, TEXTS)
def test_a_wildcard_read_names_the_cluster(document: dict[str, object], path: str) -> None:
    value = value_of(document)
    plain, shown = (
        orjson.loads(envelope.body(value)),
        orjson.loads(envelope.annotated_body(value, envelope.annotation_of(path))),
    )
    expected = {**plain["metadata"].get("annotations", {}), "kcp.io/cluster": path}
    assert shown["metadata"].pop("annotations") == expected
    plain["metadata"].pop("annotations", None)
    assert shown == plain


def test_a_stored_cluster_annotation_is_replaced() -> None:
    document = {"apiVersion": "v1", "kind": "A", "metadata": {"annotations": {"kcp.io/cluster": "forged", "b": "1"}}}
    shown = orjson.loads(envelope.annotated_body(value_of(document), envelope.annotation_of("root")))
    assert shown["metadata"]["annotations"] == {"kcp.io/cluster": "root", "b": "1"}


def test_the_header_is_read_without_the_json() -> None:
    value = value_of({"apiVersion": "apps/v1", "kind": "A", "metadata": {}})
    assert envelope.revision(value) == 1_800_000_000_000_000_001
    assert envelope.created_revision(value) == 7
    assert envelope.fingerprint(value) == 99
    assert (envelope.uid(value), envelope.api_version(value)) == ("uid", "apps/v1")
    assert (envelope.labels(value), envelope.fields(value)) == ({"a": "1", "b": "2"}, {"f": "v"})


def test_a_header_alone_keeps_what_selectors_look_at() -> None:
    value = value_of({"apiVersion": "v1", "kind": "A", "metadata": {}})
    brief = envelope.header(value, 42)
    assert envelope.has_body(value) and not envelope.has_body(brief)
    assert envelope.revision(brief) == 42
    assert envelope.selection(brief) == envelope.selection(value)
    assert envelope.labels(brief) == envelope.labels(value)


@given(PAIRS, PAIRS, PAIRS, PAIRS)
def test_selections_are_equal_when_labels_and_fields_are(
    a: dict[str, str], b: dict[str, str], c: dict[str, str], d: dict[str, str]
) -> None:
    def value(labels: dict[str, str], fields: dict[str, str]) -> bytes:
        json, hole, at = envelope.encode_object({"apiVersion": "v1", "kind": "A", "metadata": {}})
        pairs = envelope.encode_pairs(labels), envelope.encode_pairs(fields)
        return envelope.encode(json, hole, at, 1, 1, "", "v1", *pairs, 0)

    assert (envelope.selection(value(a, b)) == envelope.selection(value(c, d))) == ((a, b) == (c, d))


def test_another_revision_can_be_shown() -> None:
    value = value_of({"apiVersion": "v1", "kind": "A", "metadata": {}})
    assert orjson.loads(envelope.body_at(value, 5))["metadata"]["resourceVersion"] == "0000000000000000005"


def test_a_tombstone_has_the_header_of_what_it_ends() -> None:
    value = value_of({"apiVersion": "v1", "kind": "A", "metadata": {}})
    json, hole, at = envelope.encode_object({"apiVersion": "v1", "kind": "A", "metadata": {"annotations": {"a": "b"}}})
    assert at == envelope.annotations_offset(json, hole)
    last = envelope.at_revision(value, json, hole, 1_800_000_000_000_009_001, at)
    assert envelope.faults(last) == []
    assert envelope.labels(last) == {"a": "1", "b": "2"}
    assert b"kcp.io/cluster" in envelope.annotated_body(last, envelope.annotation_of("root"))


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        pytest.param(lambda value: value[:20], "shorter than a header", id="cut header"),
        pytest.param(lambda value: value[:60], "texts and JSON do not fit", id="cut texts"),
        pytest.param(lambda value: value[:-1], "not an object with metadata", id="cut JSON"),
        pytest.param(lambda value: b"\0" * 8 + value[8:], "is not the header's revision", id="another revision"),
    ],
)
def test_damage_is_named(damage, fault: str) -> None:  # type: ignore[no-untyped-def]
    assert fault in " ".join(envelope.faults(damage(value_of({"apiVersion": "v1", "kind": "A", "metadata": {}}))))
