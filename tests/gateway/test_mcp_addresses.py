"""Which addresses an MCP server may have."""

import asyncio

import pytest

from rtnb.errors import EngineError
from rtnb.gateway.mcp_addresses import Admission, is_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.0.2.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
    ],
)
def test_what_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_what_is_public(address):
    assert is_public(address)


def admitted(host, **options):
    return asyncio.run(Admission(**options)(host, 80))


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "0", "::1"]
)
def test_loopback_is_refused_in_every_spelling(host):
    with pytest.raises(EngineError, match="not an address of the public Internet"):
        admitted(host)


def test_loopback_is_admitted_where_the_user_says_so():
    assert admitted("127.0.0.1", allow_private=True) == ["127.0.0.1"]


def test_one_private_address_among_public_ones_is_too_much():
    async def resolve(host, port):
        return ["8.8.8.8", "10.0.0.1"]

    with pytest.raises(EngineError, match=r"at 10\.0\.0\.1"):
        admitted("both.example", resolve=resolve)


@pytest.mark.parametrize("error", [OSError("no"), UnicodeError("label too long")])
def test_a_host_that_is_not_known(error):
    async def resolve(host, port):
        raise error

    with pytest.raises(EngineError, match=r"The host none\.example is not known"):
        admitted("none.example", resolve=resolve)
