from tests.contracts.api_client import ApiClient
from tests.contracts.full_cluster import full_cluster

CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
DEFAULT_CLASS = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}


async def claim(client: ApiClient, name: str, **spec: object) -> dict[str, object]:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    made: dict[str, object] = await client.create(CLAIMS, {"metadata": {"name": name}, "spec": asked})
    return made


async def test_the_first_by_name_of_the_youngest_classes_is_given() -> None:
    async with full_cluster() as client:
        for name in ("b", "a"):
            body = {"metadata": {"name": name, **DEFAULT_CLASS}, "provisioner": "x/y"}
            await client.create("/apis/storage.k8s.io/v1/storageclasses", body)
        assert (await claim(client, "one"))["spec"]["storageClassName"] in ("a", "b")  # type: ignore[index]
        assert (await claim(client, "none", storageClassName=""))["spec"]["storageClassName"] == ""  # type: ignore[index]


async def test_an_ingress_gets_the_default_class_unless_it_names_one() -> None:
    async with full_cluster() as client:
        marks = {"ingressclass.kubernetes.io/is-default-class": "true"}
        body = {"metadata": {"name": "c", "annotations": marks}, "spec": {"controller": "a.b/c"}}
        await client.create("/apis/networking.k8s.io/v1/ingressclasses", body)
        backend = {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}
        made = await client.create(INGRESSES, {"metadata": {"name": "a"}, "spec": backend})
        assert made["spec"]["ingressClassName"] == "c"
        annotated = {"name": "b", "annotations": {"kubernetes.io/ingress.class": "x"}}
        assert (
            "ingressClassName" not in (await client.create(INGRESSES, {"metadata": annotated, "spec": backend}))["spec"]
        )


async def test_a_bound_claim_grows_where_its_class_lets_it() -> None:
    async with full_cluster() as client:
        for name, grows in (("yes", True), ("no", False)):
            body = {"metadata": {"name": name}, "provisioner": "x/y", "allowVolumeExpansion": grows}
            await client.create("/apis/storage.k8s.io/v1/storageclasses", body)
            await claim(client, name, storageClassName=name)
            bound = {"status": {"phase": "Bound"}}
            await client.do("PATCH", f"{CLAIMS}/{name}/status", bound, "application/merge-patch+json")
        more = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
        codes = [
            (await client.do("PATCH", f"{CLAIMS}/{name}", more, "application/merge-patch+json")).code
            for name in ("yes", "no")
        ]
        assert codes == [200, 403]
