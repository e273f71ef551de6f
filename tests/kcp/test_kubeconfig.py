import base64

from kcp import kubeconfig


def test_each_context_is_one_logical_cluster() -> None:
    made = kubeconfig.build("https://localhost:6443", b"PEM", "secret")
    assert made["current-context"] == "root"
    clusters = {each["name"]: each["cluster"] for each in made["clusters"]}
    servers = [clusters[each["context"]["cluster"]]["server"] for each in made["contexts"]]
    assert servers == [f"https://localhost:6443/clusters/{name}" for name in ("root", "admin", "user")]
    assert base64.b64decode(clusters["root"]["certificate-authority-data"]) == b"PEM"
    assert made["users"] == [{"name": "kcp-admin", "user": {"token": "secret"}}]


def test_what_its_owner_changed_stays() -> None:
    present = kubeconfig.build("https://localhost:6443", b"PEM", "secret")
    present["current-context"] = "mine"
    present["contexts"][0]["context"]["namespace"] = "team"
    present["contexts"].append({"name": "mine", "context": {"cluster": "root", "user": "kcp-admin"}})
    updated = kubeconfig.update(present, "https://localhost:7443", b"PEM", "secret")
    assert updated["current-context"] == "mine"
    assert updated["contexts"] == present["contexts"]
    assert updated["clusters"][0]["cluster"]["server"] == "https://localhost:7443/clusters/root"


def test_what_its_owner_removed_or_broke_comes_back() -> None:
    wanted = kubeconfig.build("https://localhost:6443", b"PEM", "secret")
    assert kubeconfig.update({}, "https://localhost:6443", b"PEM", "secret") == wanted
    assert kubeconfig.update({"clusters": None, "users": ["?"]}, "https://localhost:6443", b"PEM", "secret") == wanted


def test_a_true_document_stays_equal() -> None:
    present = kubeconfig.build("https://localhost:6443", b"PEM", "secret")
    assert kubeconfig.update(present, "https://localhost:6443", b"PEM", "secret") == present
