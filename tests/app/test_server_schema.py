"""Whatever a stranger sends, the server answers in words and never with a fault of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import schemathesis
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    status_code_conformance,
)

import nanopilot as npl
from nanopilot.app.server import InstrumentServer, Role, ServerSettings

#: Not the schemas of answers: infinite numbers are texts in them, as everywhere in nanopilot.
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]


@pytest.fixture(scope="module")
def server() -> Iterator[InstrumentServer]:
    small = ServerSettings(max_pixels=1 << 12, max_bytes=1 << 22)
    with InstrumentServer(npl.connect("plain"), small) as running:
        yield running


@pytest.fixture(scope="module")
def api(server: InstrumentServer) -> Any:
    token = server.keys.tokens[Role.APPROVER]
    return schemathesis.openapi.from_url(
        f"{server.url}/openapi.json", headers={"Authorization": f"Bearer {token}"}
    )


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_nothing_that_is_sent_breaks_the_server(
    server: InstrumentServer, api: Any, mode: schemathesis.GenerationMode
) -> None:
    token = server.keys.tokens[Role.APPROVER]
    headers = {"Authorization": f"Bearer {token}"}
    operations = [found.ok() for found in api.get_all_operations()]
    assert len(operations) > 20
    for operation in operations:
        if mode.is_negative and not list(operation.body):
            continue  # there is nothing that could be wrong about it

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            deadline=None,
            max_examples=25,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def check(case: schemathesis.Case) -> None:
            case.call_and_validate(headers=headers, checks=CHECKS, timeout=60)

        check()


PATHS = ("set", "start", "validate", "estimate", "proposals", "lease", "stop", "session")
NASTY = (
    "NaN", "-Infinity", "1e999", '"NaN"', "9" * 5000, "-1", "0", "true", "null", '"\\ud800"',
    '"\\u0000"', "[]", "{}", "[" * 900 + "]" * 900, '"50 nm"', '"50 parsec/fortnight"', "1e-320",
)  # fmt: skip


@given(path=st.sampled_from(PATHS), which=st.sampled_from(NASTY), key=st.integers(0, 9))
@settings(deadline=None, max_examples=250)
def test_numbers_and_texts_that_are_none_are_refused_in_words(
    server: InstrumentServer, path: str, which: str, key: int
) -> None:
    bodies = (
        '{"capability": "Focus", "values": {"defocus": X}}',
        '{"capability": X, "values": {"defocus": 1}}',
        '{"capability": "Scanner", "request": {"centre": [X, 0], "field_of_view": [1e-7, 1e-7],'
        ' "shape": [4, 4]}}',
        '{"capability": "Scanner", "request": {"centre": [0, 0], "field_of_view": [1e-7, 1e-7],'
        ' "shape": [X, 4]}}',
        '{"capability": "Scanner", "request": {"centre": [0, 0], "field_of_view": [1e-7, 1e-7],'
        ' "shape": [4, 4], "dwell_time": X}}',
        '{"capability": "Camera", "request": {"frames": X}}',
        '{"command": {"capability": "Focus", "values": {"defocus": X}}, "why": "y"}',
        '{"holder": X, "silence": X}', '{"why": X}', "X",
    )  # fmt: skip
    token = server.keys.tokens[Role.APPROVER]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = bodies[key].replace("X", which)
    with closing(urllib3.connection_from_url(server.url, retries=False)) as http:
        answer = http.request("POST", f"/v1/{path}", body=body, headers=headers)
        assert answer.status < 500, answer.data
        assert answer.json() is not None
        if path == "lease" and answer.status == 200:
            lease = {"Nanopilot-Lease": answer.json()["lease"]}
            http.request("DELETE", "/v1/lease", headers=headers | lease)
