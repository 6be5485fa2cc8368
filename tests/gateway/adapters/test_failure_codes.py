"""What a failed response says of a server's refusal, in the service's own words."""

import httpx
import pytest

from rtnb.gateway.adapters.server import ModelServer
from rtnb.gateway.adapters.settings import Place


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (429, b'{"error": {"code": "insufficient_quota"}}', "insufficient_quota"),
        (429, b"slow down", "rate_limit_exceeded"),
        (404, b'{"error": "no such model"}', "model_not_found"),
        (500, b"", None),
    ],
)
def test_a_refusal_has_the_code_of_its_cause(status, body, code):
    server = ModelServer(Place(url="http://127.0.0.1:9"), what="the chat model")
    assert server.refusal(httpx.Response(status), body).code == code
