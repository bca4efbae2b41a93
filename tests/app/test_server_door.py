"""Nothing gets past the door: no token, no name of this host, no page of another site."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
import urllib3
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as open_stream

import nanopilot as npl
from nanopilot.app.server import InstrumentServer, Role, ServerSettings
from nanopilot.core.errors import InvalidRequest
from nanopilot.core.requests import from_outside

LIMIT = 2000


@pytest.fixture(scope="module")
def server() -> Iterator[InstrumentServer]:
    with InstrumentServer(npl.connect("plain"), ServerSettings(max_body=LIMIT)) as running:
        yield running


@pytest.fixture
def http(server: InstrumentServer) -> Iterator[urllib3.HTTPConnectionPool]:
    with closing(urllib3.connection_from_url(server.url, retries=False)) as pool:
        yield pool  # type: ignore[misc]


def bearer(server: InstrumentServer, role: Role = Role.VIEWER) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.keys.tokens[role]}"}


def strangers(server: InstrumentServer) -> dict[str, tuple[int, dict[str, str]]]:
    """List headers that must not be let in, and what they are answered with."""
    good, other = bearer(server), server.port % 60_000 + 1
    return {
        "no token": (401, {}),
        "a wrong token": (401, {"Authorization": "Bearer wrong"}),
        "an empty token": (401, {"Authorization": "Bearer "}),
        "another scheme": (
            401,
            {"Authorization": good["Authorization"].replace("Bearer", "Basic")},
        ),
        "a cookie nobody gave": (401, {"Cookie": "nanopilot_session=wrong"}),
        "another host": (403, good | {"Host": f"evil.example:{server.port}"}),
        "another port": (403, good | {"Host": f"127.0.0.1:{other}"}),
        "no port": (403, good | {"Host": "127.0.0.1"}),
        "another site": (403, good | {"Origin": "http://evil.example"}),
        "another local page": (403, good | {"Origin": f"http://127.0.0.1:{other}"}),
        "another scheme of this host": (403, good | {"Origin": f"https://127.0.0.1:{server.port}"}),
        "a page without a site": (403, good | {"Origin": "null"}),
    }


@pytest.mark.parametrize("path", ["/v1/state", "/openapi.json", "/nowhere"])
def test_strangers_are_refused_over_http(
    server: InstrumentServer, http: urllib3.HTTPConnectionPool, path: str
) -> None:
    for who, (status, headers) in strangers(server).items():
        answer = http.request("GET", path, headers=headers)
        assert answer.status == status, who
        assert answer.json()["error"] == "NotInCommand", who


@pytest.mark.parametrize("path", ["/v1/events", "/v1/acquisitions/none/blocks"])
def test_strangers_are_refused_over_websockets(server: InstrumentServer, path: str) -> None:
    url = server.url.replace("http", "ws") + path
    for who, (status, headers) in strangers(server).items():
        host = headers.pop("Host", None)
        named = url if host is None else f"ws://{host}{path}"
        line = socket.create_connection(("127.0.0.1", server.port))
        with closing(line), pytest.raises(InvalidStatus) as refused:
            open_stream(named, sock=line, additional_headers=headers, proxy=None)
        assert refused.value.response.status_code == status, who


def test_every_name_of_this_machine_is_let_in(
    server: InstrumentServer, http: urllib3.HTTPConnectionPool
) -> None:
    for name in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]"):
        host = f"{name}:{server.port}"
        headers = bearer(server) | {"Host": host, "Origin": f"http://{host}"}
        assert http.request("GET", "/v1/description", headers=headers).status == 200


def test_answers_let_no_other_site_read_them(
    server: InstrumentServer, http: urllib3.HTTPConnectionPool
) -> None:
    headers = bearer(server) | {"Origin": server.url}
    for method in ("GET", "OPTIONS"):
        answer = http.request(method, "/v1/description", headers=headers)
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_no_page_loads_scripts_from_elsewhere(
    server: InstrumentServer, http: urllib3.HTTPConnectionPool
) -> None:
    for path in ("/docs", "/redoc", "/docs/oauth2-redirect"):
        assert http.request("GET", path, headers=bearer(server)).status == 404


@given(size=st.integers(LIMIT + 1, 3 * LIMIT), chunk=st.integers(1, 3 * LIMIT))
@settings(deadline=None, max_examples=15)
def test_large_bodies_are_refused_whether_or_not_they_say_so(
    server: InstrumentServer, size: int, chunk: int
) -> None:
    body = b'{"why":"' + b"a" * size + b'"}'
    chunks = (body[i : i + chunk] for i in range(0, len(body), chunk))
    with closing(urllib3.connection_from_url(server.url, retries=False)) as http:
        headers = bearer(server) | {"Content-Type": "application/json"}
        announced = http.request("POST", "/v1/stop", body=body, headers=headers)
        assert announced.status == 413
        streamed = http.request("POST", "/v1/stop", body=chunks, headers=headers, chunked=True)
        assert streamed.status == 413
        assert streamed.json()["error"] == "InvalidRequest"


def test_a_body_within_the_limit_is_read_in_chunks_too(
    server: InstrumentServer, http: urllib3.HTTPConnectionPool
) -> None:
    headers = bearer(server) | {"Content-Type": "application/json"}
    body = iter([b'{"why"', b':"', b'tea"}'])
    answer = http.request("POST", "/v1/stop", body=body, headers=headers, chunked=True)
    assert answer.status == 200


def test_a_page_gets_a_cookie_that_scripts_and_other_sites_cannot_use(
    server: InstrumentServer, http: urllib3.HTTPConnectionPool
) -> None:
    token = server.keys.tokens[Role.OPERATOR]
    answer = http.request("POST", "/v1/session", json={"token": token})
    assert answer.json() == {"why": "operator"}
    cookie, *rest = answer.headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=strict"} <= set(rest)
    assert token not in cookie
    seen = http.request("GET", "/v1/description", headers={"Cookie": cookie})
    assert seen.status == 200
    other = {"Cookie": cookie, "Origin": "http://evil.example"}
    assert http.request("GET", "/v1/description", headers=other).status == 403
    http.request("DELETE", "/v1/session", headers={"Cookie": cookie})
    assert http.request("GET", "/v1/description", headers={"Cookie": cookie}).status == 401


def test_a_wrong_token_opens_no_session(http: urllib3.HTTPConnectionPool) -> None:
    answer = http.request("POST", "/v1/session", json={"token": "wrong"})
    assert answer.status == 401
    assert "Set-Cookie" not in answer.headers


def test_roles_have_tokens_of_their_own(server: InstrumentServer) -> None:
    tokens = server.keys.tokens
    assert set(tokens) == set(Role)
    assert len({*tokens.values(), *server.keys.fresh(lambda: 0.0).tokens.values()}) == 8
    for role, token in tokens.items():
        assert server.keys.role_of(token) is role


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "microscope.example"])
def test_nobody_else_is_served_without_tls(host: str) -> None:
    with pytest.raises(InvalidRequest, match="others can reach"):
        from_outside(ServerSettings, host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1"])
def test_loopback_needs_no_tls(host: str) -> None:
    assert from_outside(ServerSettings, host=host).loopback


def test_a_taken_port_is_named(server: InstrumentServer) -> None:
    second = InstrumentServer(npl.connect("plain"), ServerSettings(port=server.port))
    with pytest.raises(InvalidRequest, match=f"`port` {server.port}"):
        second.start()
    second.stop()


def test_errors_have_one_shape(server: InstrumentServer, http: urllib3.HTTPConnectionPool) -> None:
    headers = bearer(server, Role.OPERATOR)
    asked = {
        ("GET", "/nowhere"): 404,
        ("GET", "/v1/acquisitions/none"): 404,
        ("GET", "/v1/parameters/Focus/none"): 404,
        ("PUT", "/v1/state"): 405,
        ("POST", "/v1/set"): 422,
    }
    for (method, path), status in asked.items():
        answer = http.request(method, path, headers=headers)
        assert (answer.status, path) == (status, path)
        said = json.loads(answer.data)
        assert set(said) == {"error", "message", "violations"}
        assert said["message"]
