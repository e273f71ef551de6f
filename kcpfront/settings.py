"""Every knob of a front, with its unit in the name, its default and the reason for it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    # Connections that say nothing for this long are closed; above the 90 s after which Go clients close idle ones.
    keepalive_s: float = 180.0
    # A connection that has not sent its first request by then, or finished its TLS handshake, holds memory for nothing.
    handshake_s: float = 10.0
    # One header line and the request line; client certificates' subjects and tokens fit, floods do not.
    max_line_bytes: int = 16_384
    # Connections accepted by the kernel and not yet by us: a restart brings 10 000 clients back at once.
    backlog: int = 4_096
    # In-flight requests may finish for this long after SIGTERM; supervisors send SIGKILL later than this.
    drain_s: float = 10.0
    # How often certificate, CA and token files are looked at; a stat each.
    reload_s: float = 60.0
    # Without file descriptors accepting pauses for this long; connections wait in the backlog meanwhile.
    accept_pause_s: float = 0.5
    # Descriptors kept for shard connections and files when the limit is reached by clients.
    reserved_descriptors: int = 64
    # A bookmark per watch and minute, as kube-apiserver: a client that comes back replays at most that much.
    bookmark_s: int = 60
    # Bytes a watch may owe its client before the connection is cut.
    slow_watch_bytes: int = 8 << 20
