"""What a list was asked for: selectors, state, page; read once, then the same for list and deletecollection."""

from typing import NamedTuple

from kcpshard.api.errors import Expired
from kcpshard.api.requests import Request
from kcpshard.api.resource_versions import ContinueToken, decode_continue, list_revision
from kcpshard.api.selectors import FieldSelector, LabelSelector, parse_field_selector, parse_label_selector
from kcpshard.definitions.contract import Resource
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, ScanItem


class Selection(NamedTuple):
    """Which objects are wanted, told from their keys and headers alone."""

    labels: LabelSelector
    fields: FieldSelector

    def __bool__(self) -> bool:
        return bool(self.labels or self.fields)

    def chosen(self, items: list[ScanItem]) -> list[ScanItem]:
        labels, fields = self.labels, self.fields
        if fields:
            items = [item for item in items if fields.matches_place(item.namespace, item.name)]
            if fields.has_fields():
                items = [item for item in items if fields.matches_fields(envelope.fields(item.value))]
        if not labels:
            return items
        # Many objects of a list carry the same labels: each set is decoded and judged once.
        judged: dict[bytes, bool] = {}
        chosen = []
        for item in items:
            raw = envelope.raw_labels(item.value)
            verdict = judged.get(raw)
            if verdict is None:
                verdict = judged[raw] = labels.matches(envelope.labels(item.value))
            if verdict:
                chosen.append(item)
        return chosen


class ListOptions(NamedTuple):
    selection: Selection
    exact: int  # the state at this revision; 0: a newer one will do
    minimum: int  # the state at this revision or a later one
    limit: int  # 0: everything
    token: ContinueToken | None
    is_past: bool = False  # asked for by the parameter `at`


def selection_of(request: Request, resource: Resource) -> Selection:
    """Raises BadRequest."""
    labels = parse_label_selector(request.label_selector)
    return Selection(labels, parse_field_selector(request.field_selector, resource.field_names))


def list_options(request: Request, resource: Resource, cluster: LogicalCluster | None) -> ListOptions:
    """Raises BadRequest, Invalid, and Expired for a token of another incarnation of the logical cluster."""
    selection = selection_of(request, resource)
    limit, text = request.limit, request.continue_token
    wanted = list_revision(request.resource_version, request.resource_version_match, limit, text)
    token = None
    exact = wanted.exact
    if text:
        token = decode_continue(text)
        if cluster is None or token.cluster_id != cluster.id:
            raise Expired("The provided continue parameter belongs to a logical cluster that is gone.")
        exact = token.revision
    return ListOptions(selection, exact, wanted.minimum, limit, token)
