import pytest

from kcpshard.api.errors import ApiError
from kcpshard.api.resource_versions import ContinueToken, encode_continue
from kcpshard.definitions.catalog import Catalog
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.contract import LogicalCluster, ScanItem
from kcpshard.storage.envelope import encode, encode_pairs
from kcpshard.verbs.list_options import list_options, selection_of

CONFIGMAP = Catalog().find(None, "", "v1", "configmaps")
assert CONFIGMAP is not None
CLUSTER = LogicalCluster()
CLUSTER.id = 7
TOKEN = encode_continue(ContinueToken(7, 50, "ns", "b", 3))


def item(name: str, labels: dict[str, str]) -> ScanItem:
    json = b'{"metadata":{"resourceVersion":"0000000000000000000"}}'
    hole = json.index(b"0" * 19)
    return ScanItem("ns", name, encode(json, hole, 0, 5, 5, "u", "v1", encode_pairs(labels), b"", 0))


ITEMS = [item("a", {"x": "1"}), item("b", {}), item("c", {"x": "1"}), item("d", {"x": "2"})]


@pytest.mark.parametrize(
    ("labels", "fields", "names"),
    [
        ("", "", "abcd"),
        ("x=1", "", "ac"),
        ("x!=1", "", "bd"),
        ("", "metadata.name!=a", "bcd"),
        ("x", "metadata.name!=a", "cd"),
        ("", "metadata.namespace=other", ""),
    ],
)
def test_selection(labels: str, fields: str, names: str) -> None:
    assert CONFIGMAP is not None
    selection = selection_of(pb.Request(label_selector=labels, field_selector=fields), CONFIGMAP)
    assert "".join(found.name for found in selection.chosen(ITEMS)) == names
    assert bool(selection) == bool(labels or fields)


@pytest.mark.parametrize(
    ("request_", "exact", "minimum"),
    [
        (pb.Request(), 0, 0),
        (pb.Request(resource_version="0"), 0, 0),
        (pb.Request(resource_version="5"), 0, 5),
        (pb.Request(resource_version="5", limit=2), 5, 0),
        (pb.Request(resource_version="5", resource_version_match="Exact"), 5, 0),
        (pb.Request(resource_version="5", resource_version_match="NotOlderThan", limit=2), 0, 5),
        (pb.Request(continue_token=TOKEN), 50, 0),
        (pb.Request(continue_token=TOKEN, resource_version="0"), 50, 0),
    ],
)
def test_which_state(request_: pb.Request, exact: int, minimum: int) -> None:
    assert CONFIGMAP is not None
    found = list_options(request_, CONFIGMAP, CLUSTER)
    assert (found.exact, found.minimum) == (exact, minimum)


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (pb.Request(resource_version="x"), 400, 'invalid resource version: resourceVersion: Invalid value: "x"'),
        (pb.Request(resource_version_match="Exact"), 422, "forbidden unless resourceVersion is provided"),
        (
            pb.Request(resource_version="0", resource_version_match="Exact"),
            422,
            '"exact" is forbidden for resourceVersion',
        ),
        (
            pb.Request(resource_version="5", resource_version_match="x"),
            422,
            'resourceVersionMatch: Unsupported value: "x"',
        ),
        (pb.Request(continue_token=TOKEN, resource_version="5"), 400, "specifying resource version is not allowed"),
        (pb.Request(continue_token=TOKEN, resource_version_match="Exact"), 422, "forbidden when continue is provided"),
        (pb.Request(continue_token="abc"), 400, "continue key is not valid"),
        (pb.Request(continue_token=encode_continue(ContinueToken(8, 50, "", ""))), 410, "logical cluster that is gone"),
        (pb.Request(label_selector="="), 400, "found '='"),
    ],
)
def test_refusals(request_: pb.Request, code: int, message: str) -> None:
    assert CONFIGMAP is not None
    with pytest.raises(ApiError) as caught:
        list_options(request_, CONFIGMAP, CLUSTER)
    assert caught.value.code == code and message in caught.value.message
