"""What operators see and set off: runs, their history and logs, freshness, data quality, the symbol queue."""
