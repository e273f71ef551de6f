"""Where backups are kept: a directory, or a bucket of an S3-compatible store. Content by key, written whole or not.

/var/backups/kcp                a directory
s3://bucket/prefix              credentials as other tools take them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,
                                ~/.aws/credentials or the role of the machine; AWS_ENDPOINT_URL if it is not AWS
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from kcp.files import make_private_directory
from kcp.output import Refused, os_sentence

_PIECE = 1 << 20


class Entry(NamedTuple):
    key: str
    size: int
    time: datetime


class BackupStore(Protocol):
    """Every method raises Refused if the store does not do what it is asked."""

    def list(self, prefix: str) -> Iterator[Entry]: ...
    def put(self, key: str, source: IO[bytes], size: int) -> None:
        """The content is there whole, durable, or not at all."""

    def get(self, key: str) -> Iterator[bytes]:
        """Raises Missing if there is nothing."""

    def delete(self, key: str) -> None:
        """Also what is not there."""


class Missing(Refused):
    """There is nothing under that key."""


def open_store(place: str) -> BackupStore:
    if place.startswith("s3://"):
        parts = urlsplit(place)
        if not parts.netloc:
            raise Refused(f"{place} names no bucket: write s3://BUCKET/PREFIX")
        return BucketStore(parts.netloc, parts.path.strip("/"), s3_client())
    return DirectoryStore(Path(place).absolute())


class DirectoryStore:
    """Files of mode 0600 in directories of mode 0700."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def list(self, prefix: str) -> Iterator[Entry]:
        with _told("cannot read"):
            for path in sorted((self._root / prefix).rglob("*")):
                if path.is_file() and not path.name.startswith("."):
                    status = path.stat()
                    time = datetime.fromtimestamp(status.st_mtime, UTC)
                    yield Entry(path.relative_to(self._root).as_posix(), status.st_size, time)

    def put(self, key: str, source: IO[bytes], size: int) -> None:
        path = self._root / key
        with _told("cannot write"):
            for directory in (self._root, *reversed(path.relative_to(self._root).parents[:-1])):
                make_private_directory(self._root / directory)
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    shutil.copyfileobj(source, file, _PIECE)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(name, path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
            _sync(path.parent)

    def get(self, key: str) -> Iterator[bytes]:
        try:
            with (self._root / key).open("rb") as file:
                while piece := file.read(_PIECE):
                    yield piece
        except FileNotFoundError:
            raise Missing(f"{self._root / key} is missing") from None
        except OSError as error:
            raise Refused(os_sentence("cannot read", error)) from error

    def delete(self, key: str) -> None:
        with _told("cannot delete"):
            (self._root / key).unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _told(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(os_sentence(doing, error)) from error


def s3_client() -> Any:
    from minio import Minio
    from minio.credentials.providers import AWSConfigProvider, ChainedProvider, EnvAWSProvider, IamAwsProvider

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "https://s3.amazonaws.com"
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise Refused(f"AWS_ENDPOINT_URL {endpoint!r} is not a URL")
    return Minio(
        parts.netloc,
        secure=parts.scheme == "https",
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
        credentials=ChainedProvider([EnvAWSProvider(), AWSConfigProvider(), IamAwsProvider()]),
    )


class BucketStore:
    def __init__(self, bucket: str, prefix: str, client: Any) -> None:
        self._bucket, self._client = bucket, client
        self._prefix = f"{prefix}/" if prefix else ""

    def list(self, prefix: str) -> Iterator[Entry]:
        with self._told("cannot list"):
            for found in self._client.list_objects(self._bucket, self._prefix + prefix, recursive=True):
                yield Entry(found.object_name.removeprefix(self._prefix), found.size, found.last_modified)

    def put(self, key: str, source: IO[bytes], size: int) -> None:
        with self._told(f"cannot write {key} to"):
            self._client.put_object(self._bucket, self._prefix + key, source, size)

    def get(self, key: str) -> Iterator[bytes]:
        with self._told(f"cannot read {key} of"):
            answer = self._client.get_object(self._bucket, self._prefix + key)
            try:
                yield from answer.stream(_PIECE)
            finally:
                answer.close()
                answer.release_conn()

    def delete(self, key: str) -> None:
        with self._told(f"cannot delete {key} of"):
            self._client.remove_object(self._bucket, self._prefix + key)

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        import urllib3
        from minio.error import MinioException, S3Error

        try:
            yield
        except S3Error as error:
            if error.code in ("NoSuchKey", "NoSuchObject"):
                raise Missing(f"there is no {self._prefix}… of that name in {self._bucket}: {error.message}") from error
            raise Refused(f"{doing} the bucket {self._bucket}: {error.code}: {error.message}") from error
        except (MinioException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise Refused(f"{doing} the bucket {self._bucket}: {error}") from error
