"""The shard's side of syncers: which objects each agent of a physical cluster gets, and what it may ask for."""
