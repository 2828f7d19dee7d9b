"""The token for Microsoft Graph: msal with one app object, made when first needed. Knows no Graph endpoint."""

from __future__ import annotations

import json
import logging
import re
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import msal

from safetyamp_pipelines.sync.model.errors import AnswerLost, AuthRefused
from safetyamp_pipelines.systems.http.answers import Call, answer_of, object_of
from safetyamp_pipelines.systems.http.clock import SYSTEM_CLOCK
from safetyamp_pipelines.systems.http.exchange import HttpSession

SYSTEM = "Microsoft login"
MICROSOFT_AUTHORITY = "https://login.microsoftonline.com"
LARGEST_LOGIN_ANSWER = 1024 * 1024
# It writes what it cannot read into the log, with the request and the secret in it; what matters is raised here.
logging.getLogger("msal").setLevel(logging.CRITICAL + 1)
_AADSTS = re.compile(r"AADSTS\d+")


class GraphToken:
    """Client-credentials tokens for one tenant and app. Thread-safe; msal keeps the token until it expires."""

    def __init__(
        self,
        *,
        authority: str,
        tenant: str,
        client_id: str,
        client_secret: str,
        scope: str,
        timeout: float,
        ca_bundle: Path | None = None,
    ) -> None:
        self._authority, self._tenant, self._client_id, self._secret = authority, tenant, client_id, client_secret
        self._scope = scope
        self._http = _LoginHttp(timeout, ca_bundle)
        self._lock = threading.Lock()
        self._cache = msal.TokenCache()
        self._app: msal.ConfidentialClientApplication | None = None

    def headers(self) -> Mapping[str, str]:
        """Headers of one Graph request. Raises AuthRefused, or a RetriableCall when the login does not answer."""
        with self._lock:
            result = self._made_app().acquire_token_for_client(scopes=[self._scope])
        if "access_token" not in result:
            self._refused(result)
        return {
            "Authorization": f"Bearer {result['access_token']}",
            "Accept": "application/json",
            "client-request-id": str(uuid.uuid4()),
        }

    def renew(self) -> None:
        """Forget the token: Graph refused it before its time was over."""
        with self._lock:
            # app.remove_tokens_for_client() would miss a token that came from another host than the authority's.
            for token in list(self._cache.search(msal.TokenCache.CredentialType.ACCESS_TOKEN)):
                self._cache.remove_at(token)

    def close(self) -> None:
        """Close the connections to the login."""
        self._http.close()

    def _made_app(self) -> msal.ConfidentialClientApplication:
        """msal's constructor reads the discovery document over the network, hence not before the first token."""
        if self._app is None:
            failure = None
            try:
                self._app = msal.ConfidentialClientApplication(
                    self._client_id,
                    client_credential=self._secret,
                    authority=f"{self._authority.rstrip('/')}/{self._tenant}",
                    # Discovery asks Microsoft's own login about hosts it does not know; another authority stands alone.
                    instance_discovery=None if self._authority.rstrip("/") == MICROSOFT_AUTHORITY else False,
                    token_cache=self._cache,
                    http_client=self._http,
                )
            except (ValueError, KeyError):
                failure = AuthRefused(
                    SYSTEM,
                    "GET",
                    "/.well-known/openid-configuration",
                    detail="the tenant is unknown there",
                    advice="check MS_GRAPH_TENANT_ID and MS_GRAPH_AUTHORITY",
                )
            if failure is not None:  # outside the except: msal's text holds the URL
                raise failure
        assert self._app is not None
        return self._app

    def _refused(self, result: Mapping[str, Any]) -> NoReturn:
        # The description goes on with names and ids of the tenant; only its code is repeated.
        code = _AADSTS.match(str(result.get("error_description", "")))
        reason = code.group() if code else "no code given"
        raise AuthRefused(
            SYSTEM,
            "POST",
            "/oauth2/v2.0/token",
            detail=reason,
        )


class _LoginAnswer(NamedTuple):
    """What msal reads of an answer."""

    status_code: int
    headers: Mapping[str, str]
    text: str


class _LoginHttp:
    """The HTTP client msal uses: msal's own has no time-out, and it replays a failure for seconds or minutes.

    A failure of the login is raised here as CallError, past msal's cache, so that the next attempt really asks again;
    and so is an answer that is not the login's, such as a proxy's page, which msal would write into the log.
    """

    def __init__(self, timeout: float, ca_bundle: Path | None) -> None:
        self._session = HttpSession(timeout, ca_bundle, largest=LARGEST_LOGIN_ANSWER)

    def get(self, url: str, **request: Any) -> _LoginAnswer:
        call = Call(SYSTEM, "GET", "/.well-known/openid-configuration")
        return self._send(call, url, request, ("authorization_endpoint", "token_endpoint"))

    def post(self, url: str, **request: Any) -> _LoginAnswer:
        return self._send(Call(SYSTEM, "POST", "/oauth2/v2.0/token"), url, request, ("access_token",))

    def close(self) -> None:
        self._session.close()

    def _send(self, call: Call, url: str, request: Mapping[str, Any], needed: tuple[str, ...]) -> _LoginAnswer:
        reply = self._session.exchange(call, url, **request)
        # Those that msal understands, if they are the login's own; of all others answer_of raises what they mean.
        refused = reply.status in (400, 401, 403, 404)
        answer = object_of(reply) if refused else answer_of(call, reply, now=SYSTEM_CLOCK.now())
        for name in ("error",) if refused else needed:
            value = answer.get(name) if isinstance(answer, dict) else None
            if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value):
                detail = f"the answer holds no {name}; is a proxy between?"
                raise AnswerLost(*call, status=reply.status, detail=detail)
        return _LoginAnswer(reply.status, reply.headers, json.dumps(answer))
