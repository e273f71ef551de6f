"""What a call out of the shard gives."""

from collections.abc import Mapping
from typing import NamedTuple

ANSWER_BYTES = 3 << 20  # larger ones are refused while they come in


class Answer(NamedTuple):
    code: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes
