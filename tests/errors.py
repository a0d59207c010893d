"""The one shape that every error has, its code documented at the address that the answer names."""

import httpx

ONBOARDING = "/api/v1/onboarding/"


def assert_error(answer: httpx.Response, status: int, code: str) -> dict:
    """Check an error's status, code and whole shape; returns its body."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    if "error" in body:
        assert ONBOARDING in answer.url.path or "/api/v2/onboarding/" in answer.url.path
        assert body.keys() == {"error"}
        error = body["error"]
        assert error.keys() - {"details"} == {"code", "message", "documentation_url"}
        documented = error["documentation_url"]
    else:
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert body.keys() == {"type", "title", "status", "code", "detail"}
        assert (body["status"], bool(body["title"]), bool(body["detail"])) == (status, True, True)
        error, documented = body, body["type"]
    assert error["code"] == code, answer.text
    assert documented == f"/docs/errors/{code}"
    meaning = httpx.get(answer.url.join(documented))
    assert meaning.status_code == 200, f"{code} is documented nowhere"
    assert meaning.text.startswith(f"{code}: ")
    if status == 422:
        for item in body["detail"]:
            assert item.keys() == {"loc", "msg", "type"}
    if status == 503:
        assert int(answer.headers["retry-after"]) > 0
    return body
