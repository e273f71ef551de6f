"""The id a request is found by in logs, at the client and in audit records.

Records themselves are made by `kcpfront.audit`.
"""

import random
import re

from kcpfront.exchange import Exchange

_GIVEN = re.compile(r"[!-~]{1,64}")
_random = random.SystemRandom()
_generator = random.Random(_random.getrandbits(128))  # noqa: S311 - ids are unique, not secret


def name_request(exchange: Exchange) -> None:
    """The client's Audit-ID if it gave a usable one, else a new one."""
    given = exchange.headers.get("Audit-ID")
    if given is not None and _GIVEN.fullmatch(given):
        exchange.audit_id = given
        return
    digits = f"{_generator.getrandbits(128):032x}"
    exchange.audit_id = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
