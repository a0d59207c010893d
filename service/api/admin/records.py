"""Wire records of what operators set off."""

from typing import Literal

import msgspec


class DateRange(msgspec.Struct):
    """Days that were asked for; ``today`` stands for the newest closed session."""

    start: str | None
    end: str


class StartedBatch(msgspec.Struct, kw_only=True):
    """A run that has begun in a process of its own, under this id from now on."""

    status: Literal["started"] = "started"
    batch_run_id: str
    portfolio_id: str
    force_rerun: bool
    date_range: DateRange
    triggered_by: str
    timestamp: str
    poll_url: str


class StartedJob(StartedBatch, kw_only=True):
    """A run of one kind of job."""

    job_type: str


class StartedTrigger(msgspec.Struct, kw_only=True):
    """A run that was set off by a name of old; ``info`` says what the name stands for now."""

    status: Literal["started"] = "started"
    message: str
    triggered_by: str
    timestamp: str
    batch_run_id: str
    info: str


class StartedRetry(msgspec.Struct, kw_only=True):
    """A run for what another one failed on; no items stand for that whole run."""

    status: Literal["started"] = "started"
    batch_run_id: str
    retry_of: str
    job_type: str
    items: list[str]
    triggered_by: str
    timestamp: str
    poll_url: str


class Cancelling(msgspec.Struct, kw_only=True):
    """A run that was asked to end; it does so at its next unit of work."""

    status: Literal["cancelling"] = "cancelling"
    batch_run_id: str
    job_type: str
    cancelled_by: str
    message: str
