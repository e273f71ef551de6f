from typing import Any

import pytest

from kcpfront.printers.builtin import PRINTERS

NOW = 160.0
META = {"name": "a", "namespace": "n", "creationTimestamp": "1970-01-01T00:01:00Z"}
RBAC = "rbac.authorization.k8s.io"
SUBJECTS = [
    {"kind": "User", "name": "u"},
    {"kind": "Group", "name": "g"},
    {"kind": "Group", "name": "h"},
    {"kind": "ServiceAccount", "namespace": "n", "name": "s"},
]
EVENT = {
    "type": "Warning",
    "reason": "Bad",
    "message": " text\n",
    "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec"},
    "source": {"component": "kubelet", "host": "h"},
}


@pytest.mark.parametrize(
    ("key", "obj", "cells"),
    [
        pytest.param(
            ("", "configmaps"), {"data": {"x": "y"}, "binaryData": {"z": ""}}, ["a", 2, "100s"], id="config map"
        ),
        pytest.param(("", "configmaps"), {}, ["a", 0, "100s"], id="empty config map"),
        pytest.param(("", "secrets"), {"type": "Opaque", "data": {"x": ""}}, ["a", "Opaque", 1, "100s"], id="secret"),
        pytest.param(("", "namespaces"), {"status": {"phase": "Active"}}, ["a", "Active", "100s"], id="namespace"),
        pytest.param(("", "serviceaccounts"), {}, ["a", "100s"], id="service account"),
        pytest.param(
            ("coordination.k8s.io", "leases"), {"spec": {"holderIdentity": "me"}}, ["a", "me", "100s"], id="lease"
        ),
        pytest.param(
            ("", "resourcequotas"),
            {"status": {"hard": {"pods": "5", "limits.cpu": "2", "cpu": "1"}, "used": {"pods": "3"}}},
            ["a", "cpu: 0/1, pods: 3/5", "limits.cpu: 0/2", "100s"],
            id="quota",
        ),
        pytest.param(
            (RBAC, "rolebindings"),
            {"roleRef": {"kind": "Role", "name": "r"}, "subjects": SUBJECTS},
            ["a", "Role/r", "100s", "u", "g, h", "n/s"],
            id="role binding",
        ),
        pytest.param(
            (RBAC, "clusterrolebindings"),
            {"roleRef": {"kind": "ClusterRole", "name": "r"}},
            ["a", "ClusterRole/r", "100s", "", "", ""],
            id="without subjects",
        ),
        pytest.param(
            ("apiregistration.k8s.io", "apiservices"),
            {"status": {"conditions": [{"type": "Available", "status": "True"}]}},
            ["a", "Local", "True", "100s"],
            id="local API service",
        ),
        pytest.param(
            ("apiregistration.k8s.io", "apiservices"),
            {
                "spec": {"service": {"namespace": "n", "name": "s"}},
                "status": {"conditions": [{"type": "Available", "status": "False", "reason": "Gone"}]},
            },
            ["a", "n/s", "False (Gone)", "100s"],
            id="remote API service",
        ),
        pytest.param(
            ("certificates.k8s.io", "certificatesigningrequests"),
            {
                "spec": {"signerName": "x/y", "username": "u", "expirationSeconds": 600},
                "status": {"conditions": [{"type": "Approved"}], "certificate": "eA=="},
            },
            ["a", "100s", "x/y", "u", "10m", "Approved,Issued"],
            id="approved request",
        ),
        pytest.param(
            ("certificates.k8s.io", "certificatesigningrequests"),
            {"spec": {"signerName": "x/y", "username": "u"}, "status": {}},
            ["a", "100s", "x/y", "u", "<none>", "Pending"],
            id="pending request",
        ),
        pytest.param(
            ("", "events"),
            EVENT | {"firstTimestamp": "1970-01-01T00:02:00Z", "lastTimestamp": "1970-01-01T00:02:30Z", "count": 3},
            ["10s", "Warning", "Bad", "pod/p", "spec", "kubelet, h", "text", "40s", 3, "a"],
            id="event",
        ),
        pytest.param(
            ("events.k8s.io", "events"),
            {
                "regarding": {"kind": "Pod"},
                "note": "n",
                "reportingController": "c",
                "reportingInstance": "i",
                "eventTime": "1970-01-01T00:02:00.000000Z",
                "series": {"count": 7, "lastObservedTime": "1970-01-01T00:02:39.000000Z"},
            },
            ["1s", "", "", "pod", "", "c, i", "n", "40s", 7, "a"],
            id="new event",
        ),
    ],
)
def test_cells(key: tuple[str, str], obj: dict[str, Any], cells: list[Any]) -> None:
    printer = PRINTERS[key]
    found = printer.cells({"metadata": META} | obj, NOW)
    assert found == cells
    assert len(found) == len(printer.columns)


NAME = ("Name", "string", "name", 0)
AGE = ("Age", "string", "", 0)


@pytest.mark.parametrize(
    ("key", "columns"),
    [
        (("", "configmaps"), [NAME, ("Data", "string", "", 0), AGE]),
        (("", "secrets"), [NAME, ("Type", "string", "", 0), ("Data", "string", "", 0), AGE]),
        (("", "namespaces"), [NAME, ("Status", "string", "", 0), AGE]),
        (("", "resourcequotas"), [NAME, ("Request", "string", "", 0), ("Limit", "string", "", 0), AGE]),
        (
            (RBAC, "rolebindings"),
            [
                NAME,
                ("Role", "string", "", 0),
                AGE,
                *((n, "string", "", 1) for n in ("Users", "Groups", "ServiceAccounts")),
            ],
        ),
        (
            ("", "events"),
            [
                ("Last Seen", "string", "", 0),
                ("Type", "string", "", 0),
                ("Reason", "string", "", 0),
                ("Object", "string", "", 0),
                ("Subobject", "string", "", 1),
                ("Source", "string", "", 1),
                ("Message", "string", "", 0),
                ("First Seen", "string", "", 1),
                ("Count", "string", "", 1),
                ("Name", "string", "name", 1),
            ],
        ),
    ],
)
def test_columns_are_kube_apiservers(key: tuple[str, str], columns: list[tuple[str, str, str, int]]) -> None:
    assert [(c.name, c.type, c.format, c.priority) for c in PRINTERS[key].columns] == columns


def test_an_api_service_without_a_service_shows_its_url() -> None:
    meta = {"name": "v1.a.dev", "annotations": {"apiregistration.kcp.io/url": "https://a.dev"}}
    obj = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": meta, "spec": {}}
    assert PRINTERS["apiregistration.k8s.io", "apiservices"].cells(obj, 0.0)[:3] == [
        "v1.a.dev",
        "https://a.dev",
        "Unknown",
    ]
