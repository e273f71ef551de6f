from kcpsyncer.events import event


def test_an_event_is_about_an_object() -> None:
    about = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u"},
    }
    made = event(about, "SyncFailed", "m" * 2000, "east")
    assert made["involvedObject"]["uid"] == "u" and made["metadata"]["namespace"] == "shop"
    assert len(made["message"]) == 1000 and made["type"] == "Warning" and made["source"]["host"] == "east"
    assert event(about, "A", "b")["metadata"]["name"] != made["metadata"]["name"]
