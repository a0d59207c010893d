"""What an error code means, at the address that errors name; no key needed."""

from litestar import get
from litestar.exceptions import NotFoundException

from service.csv_import.errors import MESSAGES as CSV_MESSAGES
from service.onboarding import MESSAGES as FORM_MESSAGES

GENERAL = {
    "not_authenticated": "The request carries no valid key; send one in X-API-Key or as a Bearer token",
    "not_allowed": "The key lacks the scope that the route needs",
    "not_found": "There is no such thing, or it is another owner's",
    "invalid_request": "Parameters or body are not what the document says; detail lists them",
    "initializing": "The first book is being loaded; ask again in a second",
    "busy": "The ledger is being written to, or as many queries run as may at once; ask again",
    "invalid_query": "A query is not one SELECT, is wrong, or wants more than it may have; detail says which",
    "timeout": "The request took too long, in sending or in being answered",
    "ERR_BATCH_001": "A run of this kind is under way; wait for it",
    "ERR_CSV_VALIDATION": "Rows of the CSV file are wrong; details lists every one",
    "invalid_portfolio_id": "The id of a portfolio is a UUID",
    "portfolio_not_found": "There is no such portfolio, or it is another owner's",
}
MEANINGS = {**CSV_MESSAGES, **FORM_MESSAGES, **GENERAL}


@get("/docs/errors/{code:str}", sync_to_thread=False, media_type="text/plain", tags=["documentation"])
def meaning(code: str) -> str:
    """Say what an error code means."""
    if code not in MEANINGS:
        raise NotFoundException(f"no error has the code {code}")
    return f"{code}: {MEANINGS[code]}.\n"


HANDLERS = [meaning]
