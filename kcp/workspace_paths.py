"""Where a workspace's name leads, as `cd` reads paths. Pure.

:root:a     from the top            a, a:b, a/b   below the current one
..  ..:b    above, beside           .             the current one
"""

import re

_SEGMENT = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_CLUSTER = re.compile(r"^(?P<base>https?://[^?#]*?)/clusters/(?P<path>[^/?#]+)/?$")


class NotAPath(ValueError):
    """A sentence for whoever typed it."""


def split_server(server: str) -> tuple[str, str]:
    """The server's address without, and its logical cluster. Raises NotAPath."""
    found = _CLUSTER.match(server)
    if found is None:
        raise NotAPath(f"the current context's server {server} does not name a workspace (…/clusters/PATH)")
    return found["base"], found["path"]


def resolve(current: str, text: str) -> str:
    """The path that `text` means to somebody in `current`. Raises NotAPath."""
    text = text.replace("/", ":")
    segments = [] if text.startswith(":") else current.split(":")
    for segment in text.strip(":").split(":"):
        if segment == "..":
            if len(segments) < 2:
                raise NotAPath(f"there is nothing above {':'.join(segments) or 'the top'}")
            segments.pop()
        elif segment and segment != ".":
            if not _SEGMENT.fullmatch(segment):
                raise NotAPath(f'"{segment}" is no name of a workspace')
            segments.append(segment)
    if not segments:
        raise NotAPath(f'"{text}" names no workspace')
    return ":".join(segments)


def split_last(path: str) -> tuple[str, str]:
    """The parent and the name in it. Raises NotAPath for one without a parent."""
    parent, found, name = path.rpartition(":")
    if not found:
        raise NotAPath(f"{path} has no parent: it is no workspace of another")
    return parent, name
