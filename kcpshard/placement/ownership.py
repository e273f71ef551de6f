"""What this shard owns: the answer to "is this path served here?", and the commands that change it.

Decides only; durability comes from the store's meta records, in the same commit stream as the objects. The shard map
is a hint derived from these records, never the other way round: a slot is served by whoever holds the grant. The
states are in `ownership_states`.

Giving up takes effect at once and is answered when durable; taking takes effect when durable. So at no moment, and
after no crash, do two shards serve a path, as long as a keeper grants only what has been sealed.

Commands carry the epoch of their move. One with the epoch of the last command is a repeat and changes nothing; an older
one is a message from the past and is refused, because slots may have moved on since.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import NamedTuple
from zlib import crc32

from kcpshard.api.slots import SLOT_MASK, SLOTS, slot_of
from kcpshard.placement.expected_cluster import ExpectedCluster
from kcpshard.placement.ownership_records import DataId, MetaStore, OwnershipRecords, read_records
from kcpshard.placement.ownership_states import (
    CLUSTER_TRANSITIONS,
    SLOT_TRANSITIONS,
    ClusterRecord,
    ClusterState,
    Command,
    LastCommand,
    OwnershipConflict,
    SlotState,
)
from kcpshard.storage.contract import Group, NotDurable, ReadOnly
from kcpshard.verbs.outcome import NotOwned

FIRST_EPOCH = 1  # of the initial claim; moves begin above it


class OwnershipStatistics(NamedTuple):
    number: int
    epoch: int
    slots: int
    clusters_adopted: int
    clusters_sealed: int


class Ownership:
    """The records of one shard. Commands return the Group with which they become durable, None for a repeat.

    Invariant: `_serving[slot]` is 1 only for a slot that is GRANTED durably and not closed; `_adopted` holds only
    clusters whose ADOPTED record is durable.
    """

    def __init__(self, store: MetaStore, number: int) -> None:
        """Read the records; a new directory has none until `begin`. Raises DamagedOwnership."""
        self._store = store
        self._records = read_records(store, number)
        self._clusters = self._records.clusters
        self._closed: set[int] = set()
        self._expected: dict[str, ExpectedCluster] = {}
        self._serving = bytearray(SLOTS)
        self._adopted = {p for p, r in self._clusters.items() if r.state is ClusterState.ADOPTED}
        self._serve(self.granted())

    @property
    def number(self) -> int:
        """The shard this data directory belongs to."""
        return self._records.number

    @property
    def data_id(self) -> DataId:
        """The identity of this data directory; empty: new."""
        return self._records.data_id

    @property
    def epoch(self) -> int:
        """Of the last command accepted; 0: the initial slots are not claimed yet."""
        return self._records.epoch

    # --- the hot question

    def check(self, path: str) -> None:
        """Return if this shard serves `path`, else raise NotOwned. Under a microsecond where no record differs. Raises
        NotDurable for one that is being handed over to us.

        A birth must ask in the loop turn in which it commits: slots may have been sealed while it waited.
        """
        if self._serving[crc32(path.encode()) & SLOT_MASK] and path not in self._clusters:
            return
        if path not in self._adopted:
            if expected := self._expected.get(path):
                raise NotDurable(expected)
            raise NotOwned(self._moved_to(path))

    def serves(self, path: str) -> bool:
        """As `check`."""
        try:
            self.check(path)
        except (NotOwned, NotDurable):
            return False
        return True

    def expect(self, path: str) -> ExpectedCluster:
        """A logical cluster that will be ours in a moment: whoever asks for it waits (NotDurable) until it is, or until
        the end of what is returned."""
        expected = self._expected.get(path)
        if expected is None:
            expected = self._expected[path] = ExpectedCluster(lambda: self._expected.pop(path, None))
        return expected

    def _moved_to(self, path: str) -> int:
        """0 also for what is ours, but closed or not durable: ask again."""
        if record := self._clusters.get(path):
            return record.moved_to
        owner = self._records.table[slot_of(path)]
        return 0 if owner == self.number else owner

    # --- a new directory

    def begin(self) -> Group:
        """Give a new directory its identity. It must be durable before anybody is told of it."""
        if self.data_id:
            raise OwnershipConflict("the directory has an identity already")
        after = self._records.copy()
        after.data_id = DataId(os.urandom(16))
        return self._write(after, set())

    def claim(self, slots: Collection[int], pins: Mapping[str, int]) -> Group:
        """Take what the map of the installation says is ours from its beginning; once in the life of a directory.

        `pins` (path → shard) get records of their own, which hold whatever becomes of their slots.
        """
        if self.epoch:
            raise OwnershipConflict(f"the initial slots were claimed, the ownership epoch is {self.epoch}")
        after = self._records.copy()
        self._move_slots(after, slots, Command.GRANT)
        mine = [path for path, owner in pins.items() if owner == self.number]
        for path in mine:
            after.clusters[path] = ClusterRecord(ClusterState.ADOPTED, FIRST_EPOCH)
        _note_elsewhere(after, FIRST_EPOCH, pins)
        group = self._accept(after, FIRST_EPOCH, LastCommand("claim"), {slot_of(path) for path in pins})
        group.when_durable(partial(self._serve, slots))
        for path in mine:
            group.when_durable(partial(self._serve_cluster, path, FIRST_EPOCH))
        return group

    # --- slots

    def slot_state(self, slot: int) -> SlotState:
        owner = self._records.table[slot]
        if not owner:
            return SlotState.FREE
        return SlotState.GRANTED if owner == self.number else SlotState.SEALED

    def granted(self) -> list[int]:
        number = self.number
        return [slot for slot, owner in enumerate(self._records.table) if owner == number]

    def grant(
        self,
        epoch: int,
        slots: Collection[int],
        elsewhere: Mapping[str, int] | None = None,
        kept: Collection[str] = (),
    ) -> Group | None:
        """Take slots that their former owner has sealed; served when durable. `elsewhere` (path → shard) are logical
        clusters that do not come with them: what `elsewhere()` said at the former owner. Those of the slots that we
        have adopted follow them from now on, but for the `kept`."""
        if self.is_repeat(epoch, Command.GRANT):
            return None
        after = self._records.copy()
        self._move_slots(after, slots, Command.GRANT)
        _note_elsewhere(after, epoch, elsewhere or {})
        following = _forget_adopted(after, frozenset(slots), frozenset(kept))
        changed = {slot_of(path) for path in (*(elsewhere or ()), *following)}
        group = self._accept(after, epoch, LastCommand(Command.GRANT.value), changed)
        group.when_durable(partial(self._serve, slots))
        # Until then they are served because we have adopted them.
        group.when_durable(lambda: self._adopted.difference_update(following))
        return group

    def close_slots(self, slots: Iterable[int]) -> None:
        """Stop serving these for a moment, so that nothing is born in them between looking and sealing. Not durable;
        ended by `seal` or `reopen_slots`."""
        self._closed.update(slots)
        for slot in self._closed:
            self._serving[slot] = 0

    def reopen_slots(self) -> None:
        """Serve again what was closed and not sealed."""
        closed, self._closed = self._closed, set()
        self._serve(closed)

    def seal(self, epoch: int, slots: Collection[int], moved_to: int, refused: Iterable[int], revision: int) -> Group:
        """Give up `slots` to `moved_to`, for good. `refused` are those of the command that stay, not being empty, and
        `revision` our newest: both are remembered, see `sealed_before`."""
        if self.is_repeat(epoch, Command.SEAL):
            raise OwnershipConflict(f"the slots of epoch {epoch} are sealed already")
        self._refuse_target(moved_to)
        after = self._records.copy()
        changed = _forget_sealed(after, frozenset(slots), moved_to)
        self._move_slots(after, slots, Command.SEAL, moved_to)
        group = self._accept(after, epoch, LastCommand(Command.SEAL.value, tuple(refused), revision), changed)
        self._closed.difference_update(slots)
        self._serve(slots)
        return group

    def sealed_before(self, epoch: int) -> LastCommand | None:
        """The answer to a repeat. It must not be decided anew: the keeper may have acted on the first answer."""
        return self._records.last if self.is_repeat(epoch, Command.SEAL) else None

    def elsewhere(self, slots: Collection[int], moved_to: int) -> dict[str, int]:
        """Logical clusters of `slots` that neither follow nor went to `moved_to`: path → the shard that serves them."""
        wanted = frozenset(slots)
        found = {p: r.moved_to or self.number for p, r in self._clusters.items() if slot_of(p) in wanted}
        return {path: owner for path, owner in found.items() if owner != moved_to}

    def is_repeat(self, epoch: int, command: Command) -> bool:
        """Raises OwnershipConflict for a message from the past."""
        if not self.epoch:
            raise OwnershipConflict(f"shard {self.number} has not claimed its initial slots yet")
        if epoch > self.epoch:
            return False
        if epoch == self.epoch and self._records.last.kind == command.value:
            return True
        raise OwnershipConflict(f"epoch {epoch} has passed: the ownership epoch of shard {self.number} is {self.epoch}")

    # --- single logical clusters

    def slot_owner(self, path: str) -> int:
        """Ours, or whom we gave its slot to; 0: not known."""
        return self._records.table[slot_of(path)]

    def cluster_state(self, path: str) -> ClusterState:
        if record := self._clusters.get(path):
            return record.state
        return ClusterState.HERE if self._records.table[slot_of(path)] == self.number else ClusterState.ELSEWHERE

    def cluster_record(self, path: str) -> ClusterRecord | None:
        return self._clusters.get(path)

    def adopt(self, epoch: int, path: str) -> Group | None:
        """Take one logical cluster that its source has sealed; served when durable. The caller has put its data in
        place and raised the store's clock past the source's last revision."""
        if self._is_cluster_repeat(epoch, path, ClusterState.ADOPTED):
            return None
        group = self._change_cluster(path, Command.ADOPT, ClusterRecord(ClusterState.ADOPTED, epoch))
        group.when_durable(partial(self._serve_cluster, path, epoch))
        return group

    def keep(self, epoch: int, path: str) -> Group | None:
        """Give one of ours a record of its own, so that it stays when its slot moves."""
        if self.cluster_state(path) is ClusterState.ADOPTED:
            return None
        group = self._change_cluster(path, Command.KEEP, ClusterRecord(ClusterState.ADOPTED, epoch))
        group.when_durable(partial(self._serve_cluster, path, epoch))
        return group

    def point(self, epoch: int, path: str, moved_to: int) -> Group | None:
        """What we gave up is at another shard than the one we gave it to: those who ask are sent there."""
        record = self._clusters.get(path)
        if record is None or record.state is not ClusterState.SEALED or record.epoch >= epoch:
            return None
        after = self._records.copy()
        after.clusters[path] = record._replace(epoch=epoch, moved_to=moved_to)
        return self._write(after, {slot_of(path)}, with_table=False)

    def adopted(self) -> list[str]:
        """Paths that are ours whatever their slot, whether something lives there or not."""
        return [path for path, record in self._clusters.items() if record.state is ClusterState.ADOPTED]

    def sealed(self) -> dict[str, ClusterRecord]:
        """Logical clusters given up that have a record."""
        return {path: record for path, record in self._clusters.items() if record.state is ClusterState.SEALED}

    def seal_cluster(self, epoch: int, path: str, moved_to: int, revision: int) -> Group | None:
        """Give up one logical cluster to `moved_to`; `revision` is the newest assigned in this loop turn."""
        if self._is_cluster_repeat(epoch, path, ClusterState.SEALED):
            return None
        self._refuse_target(moved_to)
        return self._change_cluster(path, Command.SEAL, ClusterRecord(ClusterState.SEALED, epoch, moved_to, revision))

    def statistics(self) -> OwnershipStatistics:
        adopted = sum(1 for r in self._clusters.values() if r.state is ClusterState.ADOPTED)
        slots = self._records.table.count(self.number)
        return OwnershipStatistics(self.number, self.epoch, slots, adopted, len(self._clusters) - adopted)

    # --- refusing

    def _refuse_target(self, moved_to: int) -> None:
        if moved_to in (0, self.number):
            raise OwnershipConflict(f"shard {self.number} cannot give anything up to shard {moved_to}")

    def _is_cluster_repeat(self, epoch: int, path: str, wanted: ClusterState) -> bool:
        record = self._clusters.get(path)
        newest = record.epoch if record else self._records.forgotten_epoch
        if epoch > newest:
            return False
        if record and epoch == newest and record.state is wanted:
            return True
        raise OwnershipConflict(f"epoch {epoch} has passed: {path} changed at shard {self.number} in {newest}")

    # --- carrying out

    def _move_slots(self, after: OwnershipRecords, slots: Iterable[int], command: Command, moved_to: int = 0) -> None:
        for slot in slots:
            if not 0 <= slot < SLOTS:
                raise OwnershipConflict(f"there is no slot {slot}")
            before = self.slot_state(slot)
            state = SLOT_TRANSITIONS.get((before, command))
            if state is None:
                raise OwnershipConflict(f"shard {self.number} cannot {command.value} slot {slot}: it is {before.value}")
            after.table[slot] = self.number if state is SlotState.GRANTED else moved_to

    def _change_cluster(self, path: str, command: Command, record: ClusterRecord) -> Group:
        before = self.cluster_state(path)
        if CLUSTER_TRANSITIONS.get((before, command)) is not record.state:
            raise OwnershipConflict(f"shard {self.number} cannot {command.value} {path}: it is {before.value}")
        after = self._records.copy()
        after.clusters[path] = record
        if record.epoch > after.epoch:
            # The keeper knows of it: a directory that has not seen this command is an old copy.
            after.epoch, after.last = record.epoch, LastCommand(f"{command.value} {path}")
        group = self._write(after, {slot_of(path)}, with_table=False)
        self._adopted.discard(path)
        return group

    def _accept(self, after: OwnershipRecords, epoch: int, last: LastCommand, cluster_slots: set[int]) -> Group:
        after.epoch, after.last = epoch, last
        return self._write(after, cluster_slots)

    def _write(self, after: OwnershipRecords, cluster_slots: set[int], with_table: bool = True) -> Group:
        group = self._store.put_meta(after.items(cluster_slots, with_table))
        self._records, self._clusters = after, after.clusters
        group.when_refused(self._reread)
        return group

    def _reread(self, _cause: ReadOnly) -> None:
        """The disk did not take a command: believe what it has. What was given up is not served again before the
        command is repeated, because a restart may find that it was written after all."""
        self._records = read_records(self._store, self.number)
        self._clusters = self._records.clusters
        self._adopted = {path for path in self._adopted if self.cluster_state(path) is ClusterState.ADOPTED}
        self._serve(slot for slot in range(SLOTS) if self._serving[slot])

    def _serve(self, slots: Iterable[int]) -> None:
        """What was taken is durable now. Something of it may be given up again already."""
        for slot in slots:
            self._serving[slot] = self.slot_state(slot) is SlotState.GRANTED and slot not in self._closed

    def _serve_cluster(self, path: str, epoch: int) -> None:
        record = self._clusters.get(path)
        if record and record.state is ClusterState.ADOPTED and record.epoch == epoch:
            self._adopted.add(path)


def _note_elsewhere(after: OwnershipRecords, epoch: int, owners: Mapping[str, int]) -> None:
    """Their slots are ours, they are not. One that we have adopted knows better."""
    for path, owner in owners.items():
        known = after.clusters.get(path)
        if owner != after.number and not (known and known.state is ClusterState.ADOPTED):
            after.clusters[path] = ClusterRecord(ClusterState.SEALED, epoch, owner)


def _forget_adopted(after: OwnershipRecords, slots: frozenset[int], kept: frozenset[str]) -> list[str]:
    """Drop records of clusters that were here before their slots came; which these are."""
    found = [p for p, r in after.clusters.items() if r.state is ClusterState.ADOPTED and slot_of(p) in slots]
    following = [path for path in found if path not in kept]
    for path in following:
        after.forgotten_epoch = max(after.forgotten_epoch, after.clusters.pop(path).epoch)
    return following


def _forget_sealed(after: OwnershipRecords, slots: frozenset[int], moved_to: int) -> set[int]:
    """Drop records of clusters that went where their slot goes now; the slots whose records changed."""
    redundant = [p for p, r in after.clusters.items() if r.moved_to == moved_to and slot_of(p) in slots]
    for path in redundant:
        after.forgotten_epoch = max(after.forgotten_epoch, after.clusters.pop(path).epoch)
    return {slot_of(path) for path in redundant}
