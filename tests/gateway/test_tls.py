"""``wss`` and ``https`` with a certificate of our own making, or of the user's."""

import asyncio
import contextlib
import json
import shutil
import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import websockets
from openai import OpenAI

from rtnb.errors import ConfigError, MissingExtra
from rtnb.gateway import tls
from tests.gateway.conftest import start_gateway, stop_gateway

NOW = datetime(2026, 11, 5, tzinfo=UTC)
NO_NODE = "no Node on this machine; Debian and Ubuntu have it: apt-get install nodejs"

pytestmark = pytest.mark.filterwarnings(
    r"ignore:connect\(\) must be used as a context manager:DeprecationWarning"
)


def strict(trust=None):
    """A client's context, as strict as Python 3.13 makes it."""
    context = ssl.create_default_context(cafile=trust)
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def shake_hands(certificate, name, trust):
    """A whole handshake in memory; what the client saw of the server."""
    there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    there.load_cert_chain(certificate.chain, certificate.key)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = strict(trust).wrap_bio(down, up, server_hostname=name)
    server = there.wrap_bio(up, down, server_side=True)
    for _ in range(3):
        for side in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return client.getpeercert()


# -- what we make ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_our_certificate_is_good_for_this_machine(tmp_path, name):
    made = tls.own(folder=tmp_path)
    seen = shake_hands(made, name, made.trust)
    assert {name for _, name in seen["subjectAltName"]} == {
        "localhost",
        "127.0.0.1",
        "0:0:0:0:0:0:0:1",
    }


def test_it_is_good_for_nothing_else(tmp_path):
    made = tls.own(folder=tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        shake_hands(made, "rtnb.example", made.trust)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"self-signed|local issuer"):
        shake_hands(made, "localhost", None)


def test_it_is_good_for_the_address_that_is_listened_on(tmp_path):
    made = tls.own("192.168.1.5", folder=tmp_path)
    assert shake_hands(made, "192.168.1.5", made.trust)
    assert shake_hands(made, "localhost", made.trust)
    assert made.chain != tls.own(folder=tmp_path).chain
    everywhere = tls.own("0.0.0.0", folder=tmp_path)
    assert everywhere.chain == tls.own("::1", folder=tmp_path).chain


def test_only_the_servers_key_is_kept_and_only_for_its_owner(tmp_path):
    made = tls.own(folder=tmp_path)
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert files == sorted([made.chain, made.key, made.trust])
    holders = [path for path in files if b"PRIVATE KEY" in path.read_bytes()]
    assert holders == [made.key]
    if sys.platform != "win32":
        assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
        assert stat.S_IMODE(made.key.parent.stat().st_mode) == 0o700


def contents(certificate):
    files = (certificate.chain, certificate.key, certificate.trust)
    return [path.read_bytes() for path in files]


def test_it_stays_until_the_day_before_its_end(tmp_path):
    first = contents(tls.own(folder=tmp_path, now=NOW))
    later = NOW + timedelta(days=394)
    assert contents(tls.own(folder=tmp_path, now=later)) == first
    second = contents(tls.own(folder=tmp_path, now=NOW + timedelta(days=395)))
    assert not set(second) & set(first)


def test_one_from_the_future_is_made_anew(tmp_path):
    first = contents(tls.own(folder=tmp_path, now=NOW))
    assert contents(tls.own(folder=tmp_path, now=NOW - timedelta(days=2))) != first


@pytest.mark.parametrize("name", ["chain", "key", "trust"])
@pytest.mark.parametrize("damage", ["lost", "garbled", "another's"])
def test_damaged_files_are_made_anew(tmp_path, name, damage):
    made = tls.own(folder=tmp_path)
    hurt = getattr(made, name)
    if damage == "lost":
        hurt.unlink()
    elif damage == "garbled":
        hurt.write_bytes(b"-----BEGIN")
    else:
        other = tls.own(folder=tmp_path / "other")
        shutil.copyfile(getattr(other, name), hurt)
    again = tls.own(folder=tmp_path)
    assert shake_hands(again, "localhost", again.trust)
    left = {path.name for path in tmp_path.iterdir()} - {"other"}
    assert left == {"localhost"}


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(MissingExtra, match=r"pip install \"rtnb\[tls\]\""):
        tls.own(folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


# -- what the user gives -----------------------------------------------------------------


def test_a_given_pair_is_used_as_it_is(tmp_path):
    made = tls.own(folder=tmp_path)
    assert tls.given(str(made.chain), str(made.key)) == tls.Certificate(
        made.chain, made.key, made.chain
    )
    both = tmp_path / "both.pem"
    both.write_bytes(made.key.read_bytes() + made.chain.read_bytes())
    assert tls.given(both) == tls.Certificate(both, both, both)
    assert shake_hands(tls.given(both), "localhost", made.trust)


def encrypted(path):
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(path.read_bytes(), None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )


@pytest.mark.parametrize(
    "case", ["lost", "no key", "another's", "encrypted", "garbled"]
)
def test_a_given_pair_that_cannot_serve_is_refused(tmp_path, case):
    made = tls.own(folder=tmp_path)
    key = tmp_path / "key.pem"
    match case:
        case "lost":
            said = "cannot be read: No such file"
        case "no key":
            key, said = None, "no certificate and its key"
        case "another's":
            other = tls.own("192.168.1.5", folder=tmp_path)
            key, said = other.key, "KEY_VALUES_MISMATCH"
        case "encrypted":
            key.write_bytes(encrypted(made.key))
            said = "not encrypted"
        case "garbled":
            key.write_bytes(b"hello")
            said = "no certificate and its key"
    with pytest.raises(ConfigError, match=said):
        tls.given(made.chain, key)


# -- a gateway ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
    running = start_gateway("--tls")
    patch.undo()
    yield running
    stop_gateway(running)


async def opened(url, token, **options):
    headers = {"Authorization": f"Bearer {token}"}
    async with websockets.connect(url, additional_headers=headers, **options) as socket:
        return json.loads(await asyncio.wait_for(socket.recv(), 30))["type"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_client_that_trusts_us_converses(secure, host):
    assert secure.url == f"wss://127.0.0.1:{secure.port}/v1/realtime"
    assert secure.http == f"https://127.0.0.1:{secure.port}/v1"
    url = secure.url.replace("127.0.0.1", host)
    trusting = strict(secure.certificate)
    assert asyncio.run(opened(url, secure.token, ssl=trusting)) == "session.created"


def test_a_client_that_does_not_stays_away(secure):
    with pytest.raises(ssl.SSLCertVerificationError):
        asyncio.run(opened(secure.url, secure.token))


def test_a_plain_client_is_not_served(secure):
    plain = secure.url.replace("wss:", "ws:")
    with pytest.raises((websockets.InvalidHandshake, OSError)):
        asyncio.run(opened(plain, secure.token))
    with pytest.raises(httpx2.HTTPError):
        httpx2.get(secure.http.replace("https:", "http:") + "/models")


def test_the_official_client_converses_over_tls(secure):
    trusting = strict(secure.certificate)
    with (
        httpx2.Client(verify=trusting) as transport,
        OpenAI(
            api_key=secure.token,
            base_url=secure.http,
            http_client=transport,
            max_retries=0,
        ) as client,
    ):
        secret = client.realtime.client_secrets.create()
        with client.with_options(api_key=secret.value).realtime.connect(
            model="gpt-realtime", websocket_connection_options={"ssl": trusting}
        ) as connection:
            assert connection.recv().type == "session.created"


FETCH = """
const [url, token] = process.argv.slice(1);
const answer = await fetch(`${url}/models`, {
  headers: { Authorization: `Bearer ${token}` },
});
console.log(answer.status, (await answer.json()).data[0].id);
"""


def fetched(gateway, **environment):
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None:
        pytest.skip(NO_NODE)
    return subprocess.run(
        [node, "--input-type=module", "-e", FETCH, gateway.http, gateway.token],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=60,
    )


def test_node_fetches_with_our_authority(secure):
    done = fetched(secure, NODE_EXTRA_CA_CERTS=secure.certificate)
    assert done.stdout == "200 gpt-realtime-2.1\n", done.stderr
    assert fetched(secure).returncode != 0


def test_the_users_certificate_is_served(tmp_path):
    made = tls.own(folder=tmp_path)
    chain, key = str(made.chain), str(made.key)
    running = start_gateway("--tls-cert", chain, "--tls-key", key)
    try:
        assert running.certificate == chain
        trusting = strict(chain)
        said = asyncio.run(opened(running.url, running.token, ssl=trusting))
    finally:
        stop_gateway(running)
    assert said == "session.created"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--tls-key", "key.pem"], "give --tls-cert too"),
        (["--tls-cert", "no-such.pem"], "no-such.pem cannot be read"),
    ],
)
def test_a_certificate_that_cannot_be_is_one_line_and_1(words, complaint, capsys):
    from rtnb import cli

    assert cli.main(["serve", *words]) == 1
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1
