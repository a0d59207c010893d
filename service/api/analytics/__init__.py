"""Analytics of one portfolio: records, what fills them, routes."""
