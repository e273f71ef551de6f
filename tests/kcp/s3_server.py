"""A bucket over HTTP in memory: what `kcp backup` asks of an S3 store, and it looks at every signature.

Not a model of S3: make backup-s3 (a real implementation) is for that.
"""

import hashlib
import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit
from xml.sax.saxutils import escape

ACCESS, SECRET = "access", "secret-of-the-test"
_TIME = "2026-11-30T12:00:00.000Z"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes]
    refuse: set[str]  # methods that fail

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def _signed(self) -> bool:
        """AWS signature version 4, as its documentation describes it."""
        given = self.headers["Authorization"] or ""
        fields = dict(part.strip().split("=", 1) for part in given.removeprefix("AWS4-HMAC-SHA256 ").split(","))
        key_id, scope = fields["Credential"].split("/", 1)
        parts = urlsplit(self.path)
        names = fields["SignedHeaders"].split(";")
        canonical = "\n".join(
            [
                self.command,
                parts.path,
                "&".join(sorted(parts.query.split("&"))) if parts.query else "",
                "".join(f"{name}:{self.headers[name].strip()}\n" for name in names),
                fields["SignedHeaders"],
                self.headers["x-amz-content-sha256"],
            ]
        )
        text = "\n".join(
            ["AWS4-HMAC-SHA256", self.headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()]
        )
        key = f"AWS4{SECRET}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key_id == ACCESS and hmac.new(key, text.encode(), hashlib.sha256).hexdigest() == fields["Signature"]

    def _answer(self, code: int, body: bytes = b"", length: int | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Content-Type", "application/xml")
        self.send_header("ETag", f'"{hashlib.md5(body).hexdigest()}"')
        self.send_header("Last-Modified", "Mon, 30 Nov 2026 12:00:00 GMT")
        self.end_headers()
        self.wfile.write(body)

    def _fault(self, code: int, name: str) -> None:
        self._answer(code, f"<Error><Code>{name}</Code><Message>{name}, said the store</Message></Error>".encode())

    def _checked(self) -> str | None:
        """The object's key; None where the answer has been given."""
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.body = body
        if not self._signed():
            self._fault(403, "SignatureDoesNotMatch")
        elif self.command in self.refuse:
            self._fault(500, "InternalError")
        else:
            return urlsplit(self.path).path.removeprefix("/bucket").lstrip("/")
        return None

    def do_PUT(self) -> None:
        if (key := self._checked()) is not None:
            self.objects[key] = self.body
            self._answer(200)

    def do_GET(self) -> None:
        if (key := self._checked()) is None:
            return
        query = parse_qs(urlsplit(self.path).query)
        if "location" in urlsplit(self.path).query:
            self._answer(200, b"<LocationConstraint/>")
        elif not key:
            self._list(query.get("prefix", [""])[0])
        elif key in self.objects:
            self._answer(200, self.objects[key])
        else:
            self._fault(404, "NoSuchKey")

    def _list(self, prefix: str) -> None:
        found = "".join(
            f"<Contents><Key>{escape(quote(key))}</Key><Size>{len(value)}</Size><LastModified>{_TIME}</LastModified></Contents>"
            for key, value in sorted(self.objects.items())
            if key.startswith(prefix)
        )
        head = "<Name>bucket</Name><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>"
        self._answer(200, f"<ListBucketResult>{head}{found}</ListBucketResult>".encode())

    def do_DELETE(self) -> None:
        if (key := self._checked()) is not None:
            self.objects.pop(key, None)
            self._answer(204)


@contextmanager
def s3_server() -> Iterator[tuple[str, dict[str, bytes], set[str]]]:
    """Its URL, its objects, and the methods that are to fail."""
    objects: dict[str, bytes] = {}
    refuse: set[str] = set()
    handler = type("Handler", (_Handler,), {"objects": objects, "refuse": refuse})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", objects, refuse
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
