"""Routes for operators; every one needs a key with the scope admin."""
