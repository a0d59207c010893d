"""Keys never appear in a log or an error: some providers take them in the address, which the client logs."""

import logging
from urllib.parse import quote, quote_plus

# Loggers that write addresses; a filter on a logger does not see what its children log.
LOGGERS = ("httpx", "httpcore", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy")
SHOWN = "[key]"
_secrets: set[str] = set()


def keep_secret(key: str) -> None:
    """Strike a key out of all that is logged or quoted from now on, as it is and as addresses spell it."""
    _secrets.update({key, quote(key), quote(key, safe=""), quote_plus(key)})
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)  # adding what is there already changes nothing


def redacted(text: str) -> str:
    """Strike all keys out of a text."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, SHOWN)
    return text


class _Redacting(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without keys."""
        record.msg, record.args = redacted(record.getMessage()), ()
        return True


_FILTER = _Redacting()
