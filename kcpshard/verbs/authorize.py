"""authorize: whether an identity may ask for a path that is no resource; fronts ask before they answer such a one.

Whoever gets here may (`access`).
"""

from kcpshard.api.requests import Answer, Request
from kcpshard.verbs.outcome import Outcome
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import check_path


def authorize(shard: Shard, request: Request) -> Outcome:
    shard.ownership.check(request.cluster)
    check_path(shard.store.find_cluster(request.cluster), request.cluster)
    return Answer(200, b"{}")
