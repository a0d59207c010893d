"""Tells somebody that a job needs attention: a webhook where one is set, else the error log."""

import logging

import httpx

from service.settings import Settings

TIMEOUT_SECONDS = 10.0
log = logging.getLogger(__name__)


def alert(settings: Settings, message: str) -> None:
    """Post ``{"text": message}`` to the webhook; never raises, for a job's outcome doesn't hang on it.

    What no webhook takes is an error in the log. The webhook's URL is a secret and stands in no message.
    """
    if settings.alert_webhook_url is None:
        log.error("alert: %s", message)
        return
    try:
        answer = httpx.post(
            settings.alert_webhook_url, json={"text": f"ridgeline: {message}"}, timeout=TIMEOUT_SECONDS
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        log.error("alert: %s (the webhook did not take it: %s)", message, type(error).__name__)
        return
    if answer.is_error:
        log.error("alert: %s (the webhook answered %s)", message, answer.status_code)
