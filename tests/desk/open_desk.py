"""The real desk on a real server, in a thread of this process, and its pages as they look without JavaScript."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from time import sleep
from typing import Any

import requests
import uvicorn

from safetyamp_pipelines.desk.app import build_desk
from safetyamp_pipelines.desk.view import Desk
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.systems.snapshots.store import snapshot_store

TOKEN = re.compile(r'name="token" value="([0-9a-f]+)"')
PROXY = {
    "DESK_USER_HEADER": "X-Forwarded-User",
    "DESK_TRUSTED_PROXIES": "127.0.0.0/8",
    "DESK_READERS": "reader",
    "DESK_APPROVERS": "approver",
}


@dataclass
class Visitor:
    """Somebody who opens pages; `user` is what the login proxy says, None on this machine without one."""

    url: str
    user: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self._ask("GET", path, **options)

    def post(self, path: str, form: Mapping[str, str], *, page: str = "/", **options: Any) -> requests.Response:
        """Send a form of `page`, with that page's token."""
        token = TOKEN.search(self.get(page).text)
        return self._ask("POST", path, data={"token": token.group(1) if token else "", **form}, **options)

    def find(self, text: str) -> requests.Response:
        return self.post("/find", {"text": text})

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        own = {} if self.user is None else {"X-Forwarded-User": self.user}
        headers = {**own, **self.headers, **options.pop("headers", {})}
        return requests.request(method, self.url + path, headers=headers, timeout=60, **options)


def text_of(answer: requests.Response) -> str:
    """What a reader sees."""
    body = re.sub(r"<(style|head)\b.*?</\1>", " ", answer.text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body))).strip()


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The address of a running server of that app."""
    door = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, proxy_headers=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            sleep(0.01)
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)


@contextmanager
def open_desk(environment: Mapping[str, str], *, read_only: bool = False, **changes: str) -> Iterator[Visitor]:
    """A visitor of the desk of these settings."""
    settings = load_settings({**environment, **changes}, env_file=None)
    with Ledger.open(settings.ledger_url.get_secret_value()) as ledger:
        desk = Desk(settings, ledger, snapshot_store(settings), read_only)
        with serving(build_desk(desk, with_machines=True)) as url:
            yield Visitor(url)
