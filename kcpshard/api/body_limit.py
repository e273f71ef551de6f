"""The refusal of a body that is too large for its logical cluster. It says how large one may be in a form that fronts
read too: they refuse the next one before they read it."""

from kcpshard.api.errors import Cause, RequestEntityTooLarge

LIMIT_CAUSE = "BodyLimit"


def body_too_large(limit: int) -> RequestEntityTooLarge:
    cause = Cause(LIMIT_CAUSE, str(limit))
    text = f"Request entity too large: a body sent to this logical cluster may have {limit} bytes"
    return RequestEntityTooLarge(text, causes=(cause,))
