import base64
import hashlib

from tests.contracts.shared_apis import EXPORTS, OLD, SharedApis, condition, export, schema, shared

__all__ = ["shared"]
SECRETS = "/api/v1/namespaces/kcp-system/secrets"
SLICES = f"{OLD}/apiexportendpointslices"


async def test_an_export_gets_an_identity_and_says_where_its_view_is(shared: SharedApis) -> None:
    await shared.publish()
    found = await shared.exporter.get(f"{EXPORTS}/widgets")
    assert found["spec"]["identity"] == {"secretRef": {"namespace": "kcp-system", "name": "widgets"}}
    key = base64.b64decode((await shared.exporter.get(f"{SECRETS}/widgets"))["data"]["key"])
    assert found["status"]["identityHash"] == hashlib.sha256(key).hexdigest()
    url = "https://localhost/services/apiexport/exporter/widgets"
    assert found["status"]["virtualWorkspaces"] == [{"url": url}]
    assert condition(found, "IdentityValid") == condition(found, "VirtualWorkspaceURLsReady") == ("True", "")
    slice_ = await shared.until(shared.exporter, f"{SLICES}/widgets", lambda each: each["status"]["endpoints"])
    assert slice_["status"]["endpoints"] == [{"url": url}]


async def test_an_identity_that_changes_is_refused(shared: SharedApis) -> None:
    await shared.publish()
    before = (await shared.exporter.get(f"{EXPORTS}/widgets"))["status"]["identityHash"]
    key = base64.b64encode(b"another").decode()
    await shared.exporter.patch(f"{SECRETS}/widgets", {"data": {"key": key}})
    found = await shared.until(
        shared.exporter, f"{EXPORTS}/widgets", lambda each: condition(each, "IdentityValid")[0] == "False"
    )
    assert found["status"]["identityHash"] == before


async def test_a_secret_of_ones_own(shared: SharedApis) -> None:
    key = base64.b64encode(b"mine").decode()
    secret = {"metadata": {"name": "id"}, "data": {"key": key}}
    await shared.exporter.create("/api/v1/namespaces/default/secrets", secret)
    await shared.exporter.create(f"{OLD}/apiresourceschemas", schema())
    identity = {"secretRef": {"namespace": "default", "name": "id"}}
    await shared.exporter.create(EXPORTS, export(identity=identity))
    found = await shared.until(shared.exporter, f"{EXPORTS}/widgets", lambda each: each["status"]["identityHash"])
    assert found["status"]["identityHash"] == hashlib.sha256(b"mine").hexdigest()
