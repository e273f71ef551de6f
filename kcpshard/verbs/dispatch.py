"""From a request to its verb. The numbers are those of the enum Verb in proto/shard.proto."""

from collections.abc import Callable

from kcpshard.api.requests import Request
from kcpshard.verbs.authorize import authorize
from kcpshard.verbs.create import create
from kcpshard.verbs.delete import delete
from kcpshard.verbs.delete_collection import delete_collection
from kcpshard.verbs.document import document
from kcpshard.verbs.get import get
from kcpshard.verbs.history import history
from kcpshard.verbs.list import list_objects
from kcpshard.verbs.outcome import Outcome
from kcpshard.verbs.patch import patch
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import method_not_allowed
from kcpshard.verbs.update import update


def unknown(shard: Shard, request: Request) -> Outcome:
    raise method_not_allowed()


_VERBS: tuple[Callable[[Shard, Request], Outcome], ...] = (
    unknown,
    get,
    list_objects,
    create,
    update,
    patch,
    delete,
    delete_collection,
    document,
    authorize,
    history,
)


def dispatch(shard: Shard, request: Request) -> Outcome:
    """Begin the request. Raises ApiError, NotOwned, NotDurable, ReadOnly; see `verbs.outcome` for what it returns."""
    verb = request.verb
    return _VERBS[verb if verb < len(_VERBS) else 0](shard, request)
