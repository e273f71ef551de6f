import pytest

from kcpfront.negotiation import (
    JSON,
    PLAIN,
    PROTOBUF,
    Representation,
    is_pretty,
    media_type,
    negotiate,
    negotiate_document,
    negotiate_status,
    negotiate_watch,
)
from kcpshard.api.errors import NotAcceptable

TABLES = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        pytest.param("", PLAIN, id="nothing said"),
        pytest.param("*/*", PLAIN, id="anything"),
        pytest.param("application/json", PLAIN, id="JSON"),
        pytest.param("application/yaml", Representation("application/yaml"), id="YAML"),
        pytest.param("application/vnd.kubernetes.protobuf,application/json", PLAIN, id="protobuf or JSON"),
        pytest.param("application/yaml;q=0.5,application/json;q=0.4", Representation("application/yaml"), id="quality"),
        pytest.param("application/yaml;q=0,application/json", PLAIN, id="quality zero is a refusal"),
        pytest.param(TABLES, Representation(JSON, "Table", "v1"), id="kubectl get"),
        pytest.param(
            "application/json;as=Table;g=meta.k8s.io;v=v9,application/json", PLAIN, id="unknown version, then JSON"
        ),
        pytest.param(
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            Representation(JSON, "PartialObjectMetadata", "v1"),
            id="metadata client",
        ),
    ],
)
def test_a_representation_is_chosen(accept: str, expected: Representation) -> None:
    assert negotiate(accept) == expected


@pytest.mark.parametrize(
    ("accept", "text"),
    [
        pytest.param("text/html", "406: Not Acceptable\n\nAvailable representations: ", id="unknown type"),
        pytest.param("application/json;as=Foo;v=v1;g=meta.k8s.io", "only the following media types", id="unknown form"),
        pytest.param("application/vnd.kubernetes.protobuf", "only the following media types", id="protobuf alone"),
        pytest.param("application/cbor", "406: Not Acceptable", id="CBOR"),
    ],
)
def test_nothing_acceptable(accept: str, text: str) -> None:
    with pytest.raises(NotAcceptable, match=text):
        negotiate(accept)


def test_a_watch_has_no_yaml() -> None:
    with pytest.raises(NotAcceptable, match="application/json;stream=watch"):
        negotiate_watch("application/yaml")
    assert negotiate_watch("application/json;stream=watch") is PLAIN


@pytest.mark.parametrize(
    ("path", "accept", "expected"),
    [
        pytest.param("/apis", f"{AGGREGATED},application/json", AGGREGATED, id="aggregated"),
        pytest.param("/apis/apps", f"{AGGREGATED},application/json", JSON, id="only at the roots"),
        pytest.param(
            "/apis",
            "application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList,*/*",
            JSON,
            id="unknown version",
        ),
        pytest.param(
            "/openapi/v2",
            "application/com.github.proto-openapi.spec.v2@v1.0+protobuf,application/json",
            "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
            id="OpenAPI in its own protobuf",
        ),
        pytest.param(
            "/openapi/v3/api/v1",
            "application/com.github.proto-openapi.spec.v3.v1.0+protobuf",
            "application/com.github.proto-openapi.spec.v3.v1.0+protobuf",
            id="version 3 in its own protobuf",
        ),
        pytest.param(
            "/openapi/v3",
            "application/com.github.proto-openapi.spec.v3@v1.0+protobuf,application/json",
            JSON,
            id="the list of documents has none",
        ),
        pytest.param("/openapi/v3", "", JSON, id="nothing said"),
        pytest.param("/apis/apps/v1", f"{PROTOBUF},*/*", PROTOBUF, id="discovery in protobuf"),
        pytest.param("/apis", AGGREGATED.replace(JSON, PROTOBUF) + ",*/*", JSON, id="aggregated discovery has none"),
        pytest.param("/openapi/v3", f"{PROTOBUF},*/*", JSON, id="OpenAPI has none"),
    ],
)
def test_a_document_form_is_chosen(path: str, accept: str, expected: str) -> None:
    assert negotiate_document(path, accept) == expected


def test_no_acceptable_document() -> None:
    with pytest.raises(NotAcceptable):
        negotiate_document("/openapi/v2", "application/com.github.proto-openapi.spec.v3@v1.0+protobuf")


def test_parameters_of_content_types_do_not_count() -> None:
    assert media_type("Application/JSON; charset=utf-8") == JSON
    assert media_type(None) == ""


def test_humans_get_indented_json() -> None:
    assert is_pretty("", False, "curl/8") and is_pretty("true", True, "") and is_pretty("", True, "")
    assert not is_pretty("", False, "kubectl/v1") and not is_pretty("false", True, "curl/8")


PROTOBUF_THEN_JSON = f"{PROTOBUF},application/json"


def test_protobuf_where_the_type_has_it() -> None:
    assert negotiate(PROTOBUF, True) == Representation(PROTOBUF) == negotiate(PROTOBUF_THEN_JSON, True)
    assert negotiate_watch(f"{PROTOBUF};stream=watch", True) == Representation(PROTOBUF)


def test_metadata_in_protobuf_whatever_the_type() -> None:
    accept = f"{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    assert negotiate(accept) == Representation(PROTOBUF, "PartialObjectMetadata", "v1")


def test_no_table_in_protobuf() -> None:
    table = f"{PROTOBUF};as=Table;g=meta.k8s.io;v=v1"
    with pytest.raises(NotAcceptable, match="only the following media types"):
        negotiate(table, True)
    assert negotiate(f"{table},{TABLES}", True) == Representation(JSON, "Table", "v1")


def test_a_refusal_is_in_what_the_client_reads() -> None:
    assert negotiate_status(PROTOBUF_THEN_JSON) == Representation(PROTOBUF)
    assert negotiate_status(f"{PROTOBUF};as=Table;g=meta.k8s.io;v=v1") is PLAIN is negotiate_status("application/cbor")
    assert negotiate_status("text/html,application/yaml") == Representation("application/yaml")


def test_a_review_has_no_table() -> None:
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    assert negotiate(table).as_ == "Table"
    with pytest.raises(NotAcceptable, match="only the following media types are accepted"):
        negotiate(table, has_table=False)
    assert negotiate(table + ",application/json", has_table=False).as_ == ""
