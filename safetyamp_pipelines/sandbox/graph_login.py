"""Microsoft login for one tenant and one client: discovery document and tokens that really expire. No Graph here."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

SCOPE = "https://graph.microsoft.com/.default"


@dataclass
class GraphOptions:
    """How login and Graph behave; a running application reads the options at every request.

    A token is good for `token_seconds` and, when `token_uses` is set, for that many Graph calls. `page_size` caps what
    `$top` asks for; `empty_pages` puts an empty page with a nextLink between any two; `forbidden` is a tenant whose
    administrator has not consented (403).
    """

    tenant: str = "00000000-0000-4000-8000-000000000001"
    client_id: str = "00000000-0000-4000-8000-000000000002"
    client_secret: str = "sandbox-graph-secret"  # noqa: S105 - opens nothing but the sandbox
    token_seconds: int = 3599
    token_uses: int | None = None
    page_size: int | None = None
    empty_pages: bool = False
    forbidden: bool = False


class Login:
    """Issues tokens and says whether one is still good."""

    def __init__(self, options: GraphOptions) -> None:
        self.options = options
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[float, itertools.count[int]]] = {}

    def accepts(self, authorization: str) -> bool:
        """Whether this Authorization header carries a token that is neither unknown, expired nor used up."""
        scheme, _, token = authorization.partition(" ")
        with self._lock:
            issued = self._tokens.get(token) if scheme == "Bearer" else None
            if issued is None:
                return False
            expires, uses = issued
            if time.monotonic() >= expires:
                return False
            return self.options.token_uses is None or next(uses) < self.options.token_uses

    async def discovery(self, request: Request) -> Response:
        """The tenant's openid-configuration, naming endpoints on the host that was asked."""
        tenant = request.path_params["tenant"]
        if tenant != self.options.tenant:
            return _refused("invalid_tenant", 90002, f"Tenant '{tenant}' not found.", 400)
        base = f"{request.url.scheme}://{request.headers['host']}/{tenant}"
        return JSONResponse(
            {
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "issuer": f"{base}/v2.0",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            }
        )

    async def token(self, request: Request) -> Response:
        """A token for client credentials, else 400 or 401 with the AADSTS number of what is wrong."""
        fields = parse_qs((await request.body()).decode())
        form = {name: values[0] for name, values in fields.items()}
        if request.path_params["tenant"] != self.options.tenant:
            return _refused("invalid_request", 90002, "Tenant not found.", 400)
        return _problem(form, self.options) or JSONResponse(self._issue())

    def _issue(self) -> Mapping[str, Any]:
        token, seconds = secrets.token_urlsafe(32), self.options.token_seconds
        with self._lock:
            self._tokens[token] = (time.monotonic() + seconds, itertools.count())
        return {"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}


def _problem(form: Mapping[str, str], options: GraphOptions) -> Response | None:
    if form.get("grant_type") != "client_credentials":
        return _refused("unsupported_grant_type", 70003, "The app requested an unsupported grant type.", 400)
    if form.get("client_id") != options.client_id:
        return _refused("unauthorized_client", 700016, "Application was not found in the directory.", 400)
    if form.get("client_secret") != options.client_secret:
        return _refused("invalid_client", 7000215, "Invalid client secret provided.", 401)
    if form.get("scope") != SCOPE:
        return _refused("invalid_scope", 1002012, "The provided value for scope is not valid.", 400)
    return None


def _refused(error: str, number: int, text: str, status: int) -> Response:
    trace = {"trace_id": secrets.token_hex(16), "correlation_id": secrets.token_hex(16)}
    stamp = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    body = {"error": error, "error_description": f"AADSTS{number}: {text}", "error_codes": [number], "timestamp": stamp}
    return JSONResponse(body | trace, status)
