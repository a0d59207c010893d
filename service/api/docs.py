"""What an error code means, at the address that errors name; no key needed."""

from litestar import get
from litestar.exceptions import NotFoundException

from service.api.equity_changes import MESSAGES as EQUITY_MESSAGES
from service.csv_import.errors import MESSAGES as CSV_MESSAGES
from service.onboarding import MESSAGES as FORM_MESSAGES

GENERAL = {
    "not_authenticated": "The request carries no valid key; send one in X-API-Key or as a Bearer token",
    "not_allowed": "The key lacks the scope that the route needs",
    "method_not_allowed": "The path exists, but not with this method; the OpenAPI document lists what does",
    "bad_request": "The request cannot be understood as HTTP of this service; detail says where",
    "too_large": "The body is larger than the route takes; send less at once",
    "refused": "What was asked for contradicts what is stored; detail says what, and how to mend it",
    "taken": "A name that must be the only one of its kind is in use; choose another",
    "locked": "Another process is at work on this; ask again when it has ended",
    "unreachable": "The ledger's database cannot be reached; ask again",
    "failed": "The service could not do it; detail and the service's log say why",
    "internal_error": "A fault of the service; its log has the details",
    "as_of_date": "Only the newest session is served; leave the date out",
    "factors": "There is no such factor; detail lists those that there are",
    "fields": "There is no such field; detail lists those that there are",
    "invalid_format": "There is no such format; detail names those that there are",
    "queue_full": "As many new symbols wait as may; ask again when some have arrived",
    "last_active_portfolio": "An owner keeps at least one active portfolio; enter another one first",
    "min_overlap": "More common sessions are asked for than sessions; lower min_overlap",
    "no_calculations_available": "No session was ever computed; run the symbol batch first",
    "one_of": "Of several parameters exactly one must be given; detail names them",
    "position_ids": "Give from one to the most ids that detail names, separated by commas",
    "replay_window": "The window has no sessions, too many, or the factor proxies lack prices in it",
    "symbol_edit": "A symbol can be changed within five minutes of its entry, with allow_symbol_edit",
    "symbols": "Give from one to the most symbols that detail names, separated by commas",
    "too_many_prices": "More prices are asked for than one answer holds; shorten the window",
    "not_found": "There is no such thing, or it is another owner's",
    "invalid_request": "Parameters or body are not what the document says; detail lists them",
    "initializing": "The first book is being loaded; ask again in a second",
    "busy": "The ledger is being written to, or as many queries run as may at once; ask again",
    "invalid_query": "A query is not one SELECT, is wrong, or wants more than it may have; detail says which",
    "timeout": "The request took too long, in sending or in being answered",
    "ERR_ADMIN_001": "The route is for operators: it needs a key with the scope admin",
    "conflict": "What the request is about is in no state for it; detail says which",
    "ERR_BATCH_001": "A run of this kind is under way; wait for it",
    "ERR_CSV_VALIDATION": "Rows of the CSV file are wrong; details lists every one",
    "invalid_portfolio_id": "The id of a portfolio is a UUID",
    "portfolio_not_found": "There is no such portfolio, or it is another owner's",
}
MEANINGS = {**CSV_MESSAGES, **FORM_MESSAGES, **EQUITY_MESSAGES, **GENERAL}


@get("/docs/errors/{code:str}", sync_to_thread=False, media_type="text/plain", tags=["documentation"])
def meaning(code: str) -> str:
    """Say what an error code means."""
    if code not in MEANINGS:
        raise NotFoundException(f"no error has the code {code}")
    return f"{code}: {MEANINGS[code]}.\n"


HANDLERS = [meaning]
