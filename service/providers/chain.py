"""Sources one after another: what one does not deliver is asked of the next. Imports the protocol alone."""

from collections.abc import Mapping, Sequence
from contextlib import closing

from service.providers.outcomes import Failed, Fetched, Kind, Outcomes, PriceSource, Span

# Which failure stands for all: an outage before what the other sources say, for it could hide the symbol; and
# of those, the one that passes soonest.
GRAVITY: tuple[Kind, ...] = (
    "rate_limited",
    "transport",
    "bad_payload",
    "blocked",
    "auth",
    "delisted",
    "no_data",
    "unknown_symbol",
)


class Chain:
    """Several price sources as one; there is at least one."""

    def __init__(self, sources: Sequence[PriceSource]) -> None:
        self._sources = sources

    @property
    def name(self) -> str:
        """Names of the sources, in their order."""
        return ", ".join(source.name for source in self._sources)

    def fetch(self, requests: Mapping[str, Span]) -> Outcomes:
        """Yield every symbol once: as soon as a source delivers it, or after all have failed."""
        failures: dict[str, list[tuple[str, Failed]]] = {symbol: [] for symbol in requests}
        for source in self._sources:
            wanted = {symbol: span for symbol, span in requests.items() if symbol in failures}
            if not wanted:
                return
            with closing(source.fetch(wanted)) as outcomes:
                for symbol, outcome in outcomes:
                    if isinstance(outcome, Fetched):
                        del failures[symbol]
                        yield symbol, outcome
                    else:
                        failures[symbol].append((source.name, outcome))
        for symbol, found in failures.items():
            yield symbol, _as_one(found)


def _as_one(failures: Sequence[tuple[str, Failed]]) -> Failed:
    """Return the gravest failure, with what every source said."""
    if len(failures) == 1:
        return failures[0][1]
    gravest = min((failure for _, failure in failures), key=lambda failure: GRAVITY.index(failure.kind))
    message = "; ".join(f"{source}: {failure.message}" for source, failure in failures)
    last_session = max((f.last_session for _, f in failures if f.last_session is not None), default=None)
    return Failed(
        gravest.kind,
        message,
        retry_after=gravest.retry_after,
        last_session=last_session if gravest.kind == "delisted" else None,
    )
