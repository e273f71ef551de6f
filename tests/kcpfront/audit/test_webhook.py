import base64
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import yaml

from kcpfront.audit.webhook import KubeconfigError, Server, Webhook, read_server


class Receiver:
    def __init__(self) -> None:
        self.codes: list[int] = []
        self.bodies: list[dict[str, object]] = []
        self.tokens: list[str | None] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver.bodies.append(orjson.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                receiver.tokens.append(self.headers["Authorization"])
                self.send_response(receiver.codes.pop(0) if receiver.codes else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()
    made.thread.join()


def webhook(receiver: Receiver) -> Webhook:
    return Webhook(Server("127.0.0.1", receiver.port, "/audit", None, "t0ken"), 0.001)


def test_a_batch_is_one_event_list(receiver: Receiver) -> None:
    sender = webhook(receiver)
    sender.write([b'{"a":1}\n', b'{"a":2}\n'])
    sender._let_go()
    assert receiver.bodies == [
        {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": [{"a": 1}, {"a": 2}]}
    ]
    assert receiver.tokens == ["Bearer t0ken"]


def test_what_may_pass_is_tried_again_and_the_rest_is_not(receiver: Receiver) -> None:
    sender = webhook(receiver)
    receiver.codes = [500, 429, 200]
    sender.write([b"{}"])
    assert len(receiver.bodies) == 3
    receiver.codes = [400]
    with pytest.raises(OSError, match="answered 400"):
        sender.write([b"{}"])
    assert len(receiver.bodies) == 4
    receiver.codes = [500] * 9
    with pytest.raises(OSError, match="answered 500"):
        sender.write([b"{}"])
    assert len(receiver.bodies) == 4 + 5
    sender._let_go()


def test_nobody_there_is_an_error_at_once_when_stopped() -> None:
    sender = Webhook(Server("127.0.0.1", 1, "/", None, ""), 60.0)
    sender.stop.set()
    with pytest.raises(OSError, match="ConnectionRefusedError"):
        sender.write([b"{}"])


def kubeconfig(tmp_path: Path, cluster: dict[str, object], user: dict[str, object]) -> Path:
    document = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    path = tmp_path / "webhook.kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_kubeconfig_names_server_and_token(tmp_path: Path) -> None:
    found = read_server(kubeconfig(tmp_path, {"server": "https://audit.example:8443/a?b=c"}, {"token": "t"}))
    assert (found.host, found.port, found.path, found.token) == ("audit.example", 8443, "/a?b=c", "t")
    assert found.context is not None and found.context.check_hostname


@pytest.mark.parametrize(
    "cluster",
    [{"server": "file:///etc"}, {}, {"server": "https://x", "certificate-authority-data": "!"},
     {"server": "https://x", "certificate-authority-data": base64.b64encode(b"no").decode()}],
)  # fmt: skip
def test_what_is_no_kubeconfig_is_refused_by_name(tmp_path: Path, cluster: dict[str, object]) -> None:
    with pytest.raises(KubeconfigError, match="no usable kubeconfig"):
        read_server(kubeconfig(tmp_path, cluster, {}))
    with pytest.raises(KubeconfigError):
        read_server(tmp_path / "missing")
