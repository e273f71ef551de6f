"""The log lines of child processes, marked with the process they came from."""

import json

# A line longer than this is passed on in pieces: a child must not make the supervisor's memory grow.
MAX_LINE = 64 * 1024


class LineSplitter:
    """Bytes in, whole lines out (without their newline)."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > MAX_LINE:
            lines.append(self._rest[:MAX_LINE])
            self._rest = self._rest[MAX_LINE:]
        return lines

    def finish(self) -> list[bytes]:
        """What came after the last newline."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


def mark_line(process: str, line: bytes, form: str) -> bytes:
    """`shard-1 | line`, or as JSON the same object with a field `process`; what is not JSON becomes its `message`."""
    if form == "text":
        return b"%s | %s\n" % (process.encode(), line)
    if line.startswith(b"{") and line.endswith(b"}") and len(line) > 2:
        return b'{"process":"%s",%s\n' % (process.encode(), line[1:])
    return json.dumps({"process": process, "message": line.decode(errors="replace")}).encode() + b"\n"
