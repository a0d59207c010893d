"""Work that runs outside a request: batches, backfills, compaction."""
