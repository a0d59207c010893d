"""A thin client of the HTTP interface for scripts and notebooks; tables come as Polars frames."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import polars as pl

from service.errors import FailedError

ONBOARDING, ANALYTICS = "/api/v1/onboarding", "/api/v1/analytics/portfolio"


class RequestRefused(FailedError):  # noqa: N818 - what happened to the request
    """The service answered with an error; ``code`` and ``body`` are its own."""

    def __init__(self, answer: httpx.Response) -> None:
        try:
            self.body: Any = answer.json()
        except ValueError:
            self.body = {"detail": answer.text}
        error = self.body.get("error", self.body)
        self.status, self.code = answer.status_code, error.get("code", "")
        super().__init__(f"{answer.status_code} {self.code}: {error.get('message') or error.get('detail')}")


class Client:
    """Asks a running service, as the owner of a key; one connection, kept open."""

    def __init__(self, url: str, key: str | None = None, *, timeout: float = 30.0) -> None:
        headers = {"X-API-Key": key} if key else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def create_portfolio(
        self, csv: Path | str, *, name: str, account: str, equity: float, **form: str
    ) -> str:
        """Upload a CSV file of positions and return the new portfolio's id.

        Parameters
        ----------
        csv : Path or str
            The file.
        equity : float
            Net asset value of the account.
        **form : str
            ``account_type`` (taxable by default), ``description``, ``format``, ``as_of``.

        Raises
        ------
        RequestRefused
            With all errors of the form or the file in ``body``.
        """
        path = Path(csv)
        fields = {"portfolio_name": name, "account_name": account, "equity_balance": str(equity)}
        fields |= {"account_type": "taxable", **form}
        files = {"csv_file": (path.name, path.read_bytes(), "text/csv")}
        answer = self._http.post(f"{ONBOARDING}/create-portfolio", data=fields, files=files)
        return str(_body(answer)["portfolio_id"])

    def status(self, portfolio_id: str) -> dict[str, Any]:
        """Return whether a portfolio's analytics are there, and which symbols are still to come."""
        return self._get(f"{ONBOARDING}/status/{portfolio_id}", view="v2")

    def analytics(self, portfolio_id: str, tail: str, **query: Any) -> dict[str, Any]:
        """Return an analytics answer as it comes, ``overview`` or ``volatility`` say."""
        return self._get(f"{ANALYTICS}/{portfolio_id}/{tail}", **query)

    def factor_exposures(self, portfolio_id: str) -> pl.DataFrame:
        """Return one row a factor: ``name, beta, exposure_dollar, standard_error, coverage``."""
        return pl.DataFrame(self.analytics(portfolio_id, "factor-exposures")["factors"])

    def stress(self, portfolio_id: str) -> pl.DataFrame:
        """Return one row a scenario: ``id, category, severity, dollar_impact, percentage_impact, …``."""
        scenarios = pl.DataFrame(self.analytics(portfolio_id, "stress-test")["data"]["scenarios"])
        return scenarios.drop("by_factor", "description").unnest("impact")

    def correlations(self, portfolio_id: str, **query: Any) -> pl.DataFrame:
        """Return the correlation matrix, a column and a row a symbol."""
        matrix = self.analytics(portfolio_id, "correlation-matrix", **query)["data"]["matrix"]
        return pl.DataFrame([{"symbol": symbol, **line} for symbol, line in matrix.items()])

    def sectors(self, portfolio_id: str) -> pl.DataFrame:
        """Return one row a sector: ``sector, weight, benchmark``."""
        data = self.analytics(portfolio_id, "sector-exposure")["data"]
        weights, benchmark = data["portfolio_weights"], data["benchmark_weights"]
        return pl.DataFrame(
            [
                {"sector": name, "weight": weight, "benchmark": benchmark.get(name)}
                for name, weight in weights.items()
            ],
            schema={"sector": pl.String, "weight": pl.Float64, "benchmark": pl.Float64},
        )

    def what_if(self, trades: list[dict[str, Any]], **body: Any) -> dict[str, Any]:
        """Return analytics of trades that nobody makes, on top of ``portfolio_id`` when it is given."""
        return _body(self._http.post("/api/v1/analytics/what-if", json={"trades": trades, **body}))

    def _get(self, path: str, **query: Any) -> dict[str, Any]:
        return _body(self._http.get(path, params=query))


def _body(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        raise RequestRefused(answer)
    body: dict[str, Any] = answer.json()
    return body
