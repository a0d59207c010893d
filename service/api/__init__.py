"""The HTTP interface: routes, wire records, keys, errors."""
