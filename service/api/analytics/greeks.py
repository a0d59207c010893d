"""The greeks of a composed portfolio, as a wire record."""

from service.api.analytics.records import Greeks
from service.api.analytics.served import plain
from service.composed import Composed


def total_greeks(composed: Composed) -> Greeks:
    """Sum the greeks of the option lots that have a price, as they are held."""
    n_options, options = int(composed.positions.of_kind("option").sum()), composed.valuation.options
    n_priced = 0 if options is None else len(options.lots)
    if options is None or not n_priced:
        return Greeks(n_options=n_options, reason="option_not_priced" if n_options else "no_options")
    sums = {name: plain(float(values.sum())) for name, values in options.greeks.items()}
    reason = "partial_coverage" if n_priced < n_options else None
    return Greeks(**sums, n_options=n_options, n_priced=n_priced, reason=reason)
