from kcpshard.definitions.operations import operations, tag_of
from tests.kcpshard.definitions.submission import resource


def test_operations_of_a_namespaced_resource() -> None:
    found = {(o.method, o.path): o for o in operations(resource("configmaps"))}
    root, place = "/api/v1/configmaps", "/api/v1/namespaces/{namespace}/configmaps"
    assert [(m, p) for m, p in found] == [
        ("get", root), ("get", place), ("post", place), ("delete", place), ("get", place + "/{name}"),
        ("put", place + "/{name}"),
        ("patch", place + "/{name}"), ("delete", place + "/{name}"),
    ]  # fmt: skip
    assert found["get", root].identifier == "listCoreV1ConfigMapForAllNamespaces"
    assert found["delete", place].identifier == "deleteCoreV1CollectionNamespacedConfigMap"
    assert found["patch", place + "/{name}"].identifier == "patchCoreV1NamespacedConfigMap"
    names = {p.name for p in found["patch", place + "/{name}"].parameters}
    assert names == {"dryRun", "fieldManager", "fieldValidation", "force"}  # kubectl looks for these


def test_subresources_and_groups() -> None:
    found = {o.identifier for o in operations(resource("certificatesigningrequests", "certificates.k8s.io"))}
    assert {
        "readCertificatesV1CertificateSigningRequestApproval",
        "replaceCertificatesV1CertificateSigningRequestStatus",
    } <= found
    assert tag_of("rbac.authorization.k8s.io", "v1") == "rbacAuthorization_v1"


def test_a_review_can_only_be_created() -> None:
    assert [o.method for o in operations(resource("tokenreviews", "authentication.k8s.io"))] == ["post"]
