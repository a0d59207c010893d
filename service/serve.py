"""Runs the service: a socket, one process, one event loop."""

import gc
import logging
import socket

import uvicorn

from service.api.app import create_app
from service.api.auth import has_keys, is_loopback
from service.api.resources import make_resources
from service.errors import UsageError
from service.settings import Settings
from storage import confinement
from storage.store import Store

GRACE_SECONDS = 5
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def bind(settings: Settings) -> socket.socket:
    """Return a socket that is bound to the settings' address; port 0 takes a free one.

    Raises
    ------
    UsageError
        The address cannot be had.
    """
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        # The protocol is named, or the event loop leaves Nagle's algorithm on: 40 ms an answer.
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((settings.host, settings.port))
    except OSError as error:
        raise UsageError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}") from error
    return bound


def serve(store: Store, settings: Settings, bound: socket.socket) -> None:
    """Serve until the process is told to stop.

    Raises
    ------
    UsageError
        Others could reach the service, and nobody has a key.
    """
    on_loopback = is_loopback(settings.host)
    if not on_loopback and not has_keys(store.ledger):
        raise UsageError(
            f"{settings.host} can be reached by others, and there is no key; "
            "make one with `ridgeline keys create`, or listen on 127.0.0.1"
        )
    if settings.sql_page and not confinement.is_available():
        raise UsageError(
            "sql_page needs Linux 6.7 or newer with Landlock, to hold queries; turn the setting off, "
            "and query analytics.duckdb with `ridgeline sql`"
        )
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    app = create_app(make_resources(store, settings), open_to_all=on_loopback)
    gc.freeze()  # what is loaded by now stays, and a collection that walks through it takes 100 ms
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACE_SECONDS,  # who follows a run would keep the service up
    )
    uvicorn.Server(config).run(sockets=[bound])
