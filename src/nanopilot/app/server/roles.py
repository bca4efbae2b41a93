"""Who may do what: a token for every role, and sessions of browsers."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
import threading
from collections.abc import Callable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Self

from nanopilot.core.errors import InvalidRequest

_SESSION_SECONDS = 12 * 3600.0
_MAX_SESSIONS = 256


class Role(IntEnum):
    """What a token allows; each role may do all that those before it may.

    A viewer looks, and may always stop; a proposer files commands for approval; an operator
    commands; an approver carries out proposals and releases the emergency stop.
    """

    VIEWER = 0
    PROPOSER = 1
    OPERATOR = 2
    APPROVER = 3


class Keys:
    """Tokens by role, and sessions that were opened with them.

    Parameters
    ----------
    tokens : mapping of Role to str
        One each, hard to guess.
    now : callable
        Seconds that pass.
    """

    def __init__(self, tokens: Mapping[Role, str], now: Callable[[], float]) -> None:
        self.tokens = dict(tokens)
        self._now = now
        self._turn = threading.Lock()
        self._known = {role: _digest(token) for role, token in tokens.items()}
        self._sessions: dict[bytes, tuple[Role, float]] = {}

    @classmethod
    def fresh(cls, now: Callable[[], float]) -> Self:
        """Return keys nobody has seen."""
        return cls({role: secrets.token_urlsafe(24) for role in Role}, now)

    @classmethod
    def of_file(cls, path: Path, now: Callable[[], float]) -> Self:
        """Return the keys in a file, which is made, for its owner's eyes only, if there is none.

        Raises
        ------
        InvalidRequest
            Others can read the file, or it is not what was written.
        """
        if not path.exists():
            keys = cls.fresh(now)
            keys.write(path)
            return keys
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise InvalidRequest(f"`token_file`: others can read {path}; chmod 600 it.")
        try:
            found = json.loads(path.read_text())
            tokens = {role: str(found[role.name.lower()]) for role in Role}
        except (OSError, ValueError, KeyError, TypeError) as cause:
            raise InvalidRequest(f"`token_file`: {path} holds no tokens ({cause}).") from cause
        if min(map(len, tokens.values())) < 16 or len(set(tokens.values())) < len(Role):
            raise InvalidRequest(f"`token_file`: {path} holds a token that is short or not unique.")
        return cls(tokens, now)

    def write(self, path: Path) -> None:
        """Write the tokens as JSON into a new file that nobody else can read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({role.name.lower(): token for role, token in self.tokens.items()}, file)
            file.write("\n")

    def role_of(self, token: str) -> Role | None:
        """Return the role of a token; takes as long for a wrong one as for a right one."""
        digest, found = _digest(token), None
        for role, known in self._known.items():
            if hmac.compare_digest(digest, known):
                found = role
        return found

    def open_session(self, role: Role) -> str:
        """Return the secret of a new session."""
        secret, now = secrets.token_urlsafe(24), self._now()
        with self._turn:
            self._sessions = {k: v for k, v in self._sessions.items() if v[1] > now}
            while len(self._sessions) >= _MAX_SESSIONS:
                self._sessions.pop(next(iter(self._sessions)))
            self._sessions[_digest(secret)] = role, now + _SESSION_SECONDS
        return secret

    def role_in_session(self, secret: str) -> Role | None:
        """Return the role of a session that is still open."""
        with self._turn:
            role, until = self._sessions.get(_digest(secret), (None, 0.0))
        return role if until > self._now() else None

    def close_session(self, secret: str) -> None:
        """Forget a session."""
        with self._turn:
            self._sessions.pop(_digest(secret), None)


def _digest(secret: str) -> bytes:
    # What is compared and looked up is a hash, so that timing tells nothing about the secret.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
