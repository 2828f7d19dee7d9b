"""The token for Microsoft Graph: msal with one app object, made when first needed. Knows no Graph endpoint."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import msal
import requests

from safetyamp_pipelines.sync.model.errors import AuthRefused
from safetyamp_pipelines.systems.http.answers import Call, Reply, answer_of, failure_of_exception
from safetyamp_pipelines.systems.http.client import LONGEST_CONNECT, plain_session, verify_option
from safetyamp_pipelines.systems.http.clock import SYSTEM_CLOCK, Clock

SYSTEM = "Microsoft login"
MICROSOFT_AUTHORITY = "https://login.microsoftonline.com"
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
                    detail="the tenant is unknown there; check MS_GRAPH_TENANT_ID and MS_GRAPH_AUTHORITY",
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
            detail=f"{reason}; check MS_GRAPH_CLIENT_ID and MS_GRAPH_CLIENT_SECRET",
        )


class _LoginHttp:
    """The HTTP client msal uses: msal's own has no time-out, and it replays a failure for seconds or minutes.

    A failure of the login is raised here as CallError, past msal's cache, so that the next attempt really asks again.
    """

    def __init__(self, timeout: float, ca_bundle: Path | None, clock: Clock = SYSTEM_CLOCK) -> None:
        self._session = plain_session()
        self._timeout = (min(LONGEST_CONNECT, timeout), timeout)
        self._verify = verify_option(ca_bundle)
        self._clock = clock

    def get(self, url: str, **request: Any) -> requests.Response:
        return self._send(Call(SYSTEM, "GET", "/.well-known/openid-configuration"), url, request)

    def post(self, url: str, **request: Any) -> requests.Response:
        return self._send(Call(SYSTEM, "POST", "/oauth2/v2.0/token"), url, request)

    def close(self) -> None:
        self._session.close()

    def _send(self, call: Call, url: str, request: Mapping[str, Any]) -> requests.Response:
        try:
            response = self._session.request(
                call.method, url, timeout=self._timeout, verify=self._verify, allow_redirects=False, **request
            )
        except requests.RequestException as error:
            failure = failure_of_exception(call, error)
        else:
            if response.status_code not in (400, 401, 403, 404):  # those msal understands
                answer_of(call, Reply(response.status_code, response.headers, response.content), now=self._clock.now())
            return response
        raise failure
