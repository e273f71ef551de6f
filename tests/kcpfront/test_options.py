from typing import Any

import orjson
import pytest

from kcpfront import options
from kcpfront.request_info import parse_request
from kcpshard.api.errors import ApiError, BadRequest, Invalid
from kcpshard.rpc import shard_pb2 as pb
from tests.kcpfront.exchanges import exchange

BASE = "/api/v1/namespaces/default/configmaps"


def test_a_request_says_what_the_path_said() -> None:
    asked = exchange("/clusters/root:a/apis/apps/v1/namespaces/n/deployments/d/scale", headers={"User-Agent": "u"})
    asked.identity = b"{}"
    request = options.new_request(asked, pb.GET)
    assert request == pb.Request(
        verb=pb.GET,
        cluster="root:a",
        group="apps",
        version="v1",
        resource="deployments",
        namespace="n",
        name="d",
        subresource="scale",
        identity=b"{}",
        user_agent="u",
    )


def test_a_namespace_is_in_no_namespace() -> None:
    request = options.new_request(exchange("/api/v1/namespaces/a"), pb.GET)
    assert (request.namespace, request.name) == ("", "a")


def write(query: str, kind: str = "CreateOptions", patch: Any = 0) -> pb.Request:
    request = pb.Request(patch_type=patch)
    options.set_write_options(request, exchange(f"{BASE}?{query}", "POST").info, kind)
    return request


def test_write_options() -> None:
    request = write("dryRun=All&fieldManager=me&fieldValidation=Strict&force=true", "PatchOptions", pb.APPLY)
    assert request.dry_run and request.force
    assert (request.field_manager, request.field_validation) == ("me", "Strict")


@pytest.mark.parametrize(
    ("query", "kind", "message"),
    [
        pytest.param(
            "dryRun=x", "CreateOptions", 'dryRun: Unsupported value: ["x"]: supported values: "All"', id="dry run"
        ),
        pytest.param(
            "dryRun=All&dryRun=x",
            "UpdateOptions",
            'dryRun: Unsupported value: ["All","x"]: supported values: "All"',
            id="one of two",
        ),
        pytest.param(
            "fieldValidation=x",
            "CreateOptions",
            'fieldValidation: Unsupported value: "x": supported values: "", "Ignore", "Strict", "Warn"',
            id="validation",
        ),
        pytest.param(
            "fieldManager=" + "x" * 129,
            "CreateOptions",
            "fieldManager: Too long: may not be more than 128 bytes",
            id="long manager",
        ),
        pytest.param(
            "force=true", "PatchOptions", "force: Forbidden: may not be specified for non-apply patch", id="force"
        ),
    ],
)
def test_write_options_are_refused(query: str, kind: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        write(query, kind)
    assert caught.value.message == f'{kind}.meta.k8s.io "" is invalid: {message}'
    assert (caught.value.group, caught.value.kind) == ("meta.k8s.io", kind)


def test_an_apply_says_who() -> None:
    with pytest.raises(Invalid, match="fieldManager: Required value: is required for apply patch"):
        options.check_apply(pb.Request(patch_type=pb.APPLY))
    options.check_apply(pb.Request(patch_type=pb.APPLY, field_manager="me"))


def test_list_options() -> None:
    request = pb.Request()
    query = "limit=5&continue=t&labelSelector=a%3Db&fieldSelector=x%3Dy&resourceVersion=7&resourceVersionMatch=Exact"
    options.set_list_options(request, exchange(f"{BASE}?{query}").info)
    assert request == pb.Request(
        limit=5,
        continue_token="t",
        label_selector="a=b",
        field_selector="x=y",
        resource_version="7",
        resource_version_match="Exact",
    )


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        pytest.param("limit=x", BadRequest, 'strconv.ParseInt: parsing "x": invalid syntax', id="limit"),
        pytest.param("limit=1e3", BadRequest, 'strconv.ParseInt: parsing "1e3": invalid syntax', id="exponent"),
        pytest.param(
            "limit=99999999999999999999",
            BadRequest,
            'strconv.ParseInt: parsing "99999999999999999999": value out of range',
            id="range",
        ),
        pytest.param("timeoutSeconds=x", BadRequest, 'strconv.ParseInt: parsing "x": invalid syntax', id="timeout"),
        pytest.param(
            "sendInitialEvents=true",
            Invalid,
            'ListOptions.meta.k8s.io "" is invalid: '
            "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list",
            id="initial events",
        ),
    ],
)
def test_list_options_are_refused(query: str, error: type[ApiError], message: str) -> None:
    with pytest.raises(error) as caught:
        options.set_list_options(pb.Request(), exchange(f"{BASE}?{query}").info)
    assert caught.value.message == message


def test_a_negative_limit_is_none() -> None:
    request = pb.Request()
    options.set_list_options(request, exchange(f"{BASE}?limit=-1&timeoutSeconds=").info)
    assert request.limit == 0


def test_delete_options_from_the_query() -> None:
    request = pb.Request()
    query = "gracePeriodSeconds=0&propagationPolicy=Orphan&dryRun=All&orphanDependents=false"
    options.set_delete_options(request, exchange(f"{BASE}/a?{query}", "DELETE"))
    assert request.dry_run
    assert orjson.loads(request.body) == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Orphan",
        "dryRun": ["All"],
        "orphanDependents": False,
    }


def test_a_body_goes_before_the_query() -> None:
    asked = exchange(f"{BASE}/a?gracePeriodSeconds=5", "DELETE")
    asked.body = b'{"kind":"DeleteOptions"}'
    request = pb.Request()
    options.set_delete_options(request, asked)
    assert request.body == asked.body


def test_without_options_nothing_is_said() -> None:
    request = pb.Request()
    options.set_delete_options(request, exchange(f"{BASE}/a", "DELETE"))
    assert request == pb.Request()


@pytest.mark.parametrize("kind", ["CreateOptions", "UpdateOptions", "PatchOptions"])
def test_the_past_is_not_written(kind: str) -> None:
    info = parse_request("POST", "/api/v1/namespaces/default/configmaps?at=1", None)
    with pytest.raises(BadRequest, match="not allowed for writes"):
        options.set_write_options(pb.Request(), info, kind)
