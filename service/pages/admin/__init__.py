"""Pages of operators: what runs, what failed, how good the data are; all of them need the scope admin."""
