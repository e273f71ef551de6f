import pytest

from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.volume_sources import (
    PERSISTENT,
    POD,
    names_too_long,
    one_too_many,
    source_faults,
)


@pytest.mark.parametrize(
    ("member", "source", "fields"),
    [
        ("nfs", {"server": "s", "path": "/p"}, []),
        ("nfs", {"server": "s"}, ["nfs.path", "nfs.path"]),
        ("nfs", {"path": "p"}, ["nfs.server", "nfs.path"]),
        ("hostPath", {"path": "/a/../b", "type": "x"}, ["hostPath.path", "hostPath.type"]),
        ("hostPath", {"path": "/a", "type": ""}, []),
        ("gcePersistentDisk", {"partition": 300}, ["persistentDisk.pdName", "persistentDisk.partition"]),
        ("iscsi", {"targetPortal": "p", "iqn": "iqn.2015-02.example.com:test", "lun": 0}, []),
        ("iscsi", {"iqn": "x", "lun": 256}, ["iscsi.targetPortal", "iscsi.iqn", "iscsi.lun"]),
        ("iscsi", {"targetPortal": "p", "iqn": "eui.0123456789abcdef", "chapAuthSession": True}, ["iscsi.secretRef"]),
        ("fc", {"targetWWNs": ["a"], "wwids": ["b"]}, ["fc.targetWWNs", "fc.lun"]),
        ("fc", {}, ["fc.targetWWNs"]),
        ("flocker", {"datasetName": "a/b", "datasetUUID": "u"}, ["flocker", "flocker.datasetName"]),
        ("quobyte", {"registry": "host:1,[::1]:2", "volume": "v"}, []),
        ("quobyte", {"registry": "host"}, ["quobyte.registry", "quobyte.volume"]),
        ("flexVolume", {"driver": "d", "options": {"x.k8s.io/a": "b", "a": "b"}}, ["flexVolume.options[x.k8s.io/a]"]),
        ("azureDisk", {"diskName": "d", "diskURI": "x", "kind": "Managed"}, ["azureDisk.diskURI"]),
        ("azureDisk", {"diskName": "d", "diskURI": "https://x", "kind": "Shared", "cachingMode": ""},
            ["azureDisk.cachingMode"]),
        ("storageos", {"volumeName": "A", "secretRef": {}}, ["storageos.volumeName", "storageos.secretRef.name"]),
        ("csi", {"driver": "d", "nodePublishSecretRef": {"name": "A"}}, ["csi.name"]),
        ("gitRepo", {"repository": "r", "directory": "../a"}, ["gitRepo.directory"]),
        ("rbd", {}, ["rbd.monitors", "rbd.image"]),
    ],
)  # fmt: skip
def test_a_pods_source(member: str, source: Object, fields: list[str]) -> None:
    assert [fault.field for fault in source_faults(POD[member], source, "v", member)] == [f"v.{f}" for f in fields]


@pytest.mark.parametrize(
    ("member", "source", "fields"),
    [
        ("azureFile", {"secretName": "s", "shareName": "s", "secretNamespace": ""}, ["azureFile.secretNamespace"]),
        ("cinder", {"volumeID": "v", "secretRef": {"name": "s"}}, ["cinder.secretRef.namespace"]),
        ("csi", {"driver": "d", "volumeHandle": "h", "nodeExpandSecretRef": {"name": "s", "namespace": "n"}}, []),
        ("csi", {"driver": "d", "nodeExpandSecretRef": {"name": "A"}},
            ["csi.volumeHandle", "csi.nodeExpandSecretRef.name", "csi.nodeExpandSecretRef.namespace"]),
        ("glusterfs", {"endpoints": "e", "path": "p", "endpointsNamespace": ""}, ["glusterfs.endpointsNamespace"]),
        ("local", {"path": "/a/.."}, ["local.path"]),
    ],
)  # fmt: skip
def test_a_volumes_source(member: str, source: Object, fields: list[str]) -> None:
    found = [fault.field for fault in source_faults(PERSISTENT[member], source, "spec", member)]
    assert found == [f"spec.{f}" for f in fields]


def test_initiators_take_only_so_much() -> None:
    source = {"targetPortal": "p" * 60, "initiatorName": "iqn.2015-02.example.com:test"}
    assert names_too_long("name", source) and not names_too_long("a", source)
    assert not names_too_long("name", {"targetPortal": "p" * 60})


def test_a_second_source_is_named_as_kube_apiserver_names_it() -> None:
    assert one_too_many("v", "cephfs").field == "v.cephFS"
    assert one_too_many("v", "nfs").field == "v.nfs"
