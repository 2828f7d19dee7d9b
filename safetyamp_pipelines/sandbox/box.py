"""The sandbox as one object: the world, its servers, its folder, and the environment that leads a program to them."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

from starlette.types import ASGIApp

from safetyamp_pipelines.sandbox.catcher import Catcher
from safetyamp_pipelines.sandbox.control import control_app
from safetyamp_pipelines.sandbox.experiments import DOOR_FILE
from safetyamp_pipelines.sandbox.faults import FaultBook
from safetyamp_pipelines.sandbox.gate import Gate
from safetyamp_pipelines.sandbox.graph import GraphOptions, login_graph_app
from safetyamp_pipelines.sandbox.jira import jira_app
from safetyamp_pipelines.sandbox.jira_state import JiraSpec, JiraState, Kind
from safetyamp_pipelines.sandbox.requestlog import RequestLog, RequestRecord
from safetyamp_pipelines.sandbox.safetyamp import safetyamp_app
from safetyamp_pipelines.sandbox.safetyamp_options import TargetOptions
from safetyamp_pipelines.sandbox.safetyamp_state import SafetyAmpState
from safetyamp_pipelines.sandbox.samsara import SamsaraOptions, samsara_app
from safetyamp_pipelines.sandbox.server import AppServer, LocalAuthority
from safetyamp_pipelines.sandbox.viewpoint import write_viewpoint
from safetyamp_pipelines.sandbox.world import World, WorldSpec, build_world
from safetyamp_pipelines.sandbox.world_changes import Sources

_RULES = Path(__file__).with_name("sync.yaml")
_SLACK = 61 / 60  # a caller counts over a little more than the server does: 61 s to SafetyAmp's 60


class Sandbox:
    """A world and the servers that show it, from entering the `with` (or `start()`) to leaving it (or `stop()`).

    Equal specs give equal worlds. `home` is a folder that outlives the sandbox: the next one there finds SafetyAmp's
    records, the ledger and the snapshots again, while the sources begin anew as the spec has them. Without it a
    temporary folder is used and removed. With `jira` there are two Jiras as well, with `catches_alerts` a mail server
    and a webhook that take the alerts, which `alerts_url` shows. Raises ValueError when `home` was
    made for another spec.
    """

    environment: dict[str, str]
    safetyamp: SafetyAmpState
    sources: Sources
    control_url: str
    alerts_url: str = ""

    def __init__(
        self,
        spec: WorldSpec | None = None,
        options: TargetOptions | None = None,
        *,
        samsara: SamsaraOptions | None = None,
        graph: GraphOptions | None = None,
        jira: JiraSpec | None = None,
        home: Path | None = None,
        catches_alerts: bool = False,
    ) -> None:
        self.options = options or TargetOptions()
        self.samsara = samsara or SamsaraOptions()
        self.graph = graph or GraphOptions()
        self.world: World = build_world(spec or WorldSpec())
        self.jiras = {f"jira_{kind}": JiraState(kind, jira) for kind in get_args(Kind)} if jira else {}
        self.faults = FaultBook()
        self.catcher = Catcher() if catches_alerts else None
        self._log, self._home, self._closing = RequestLog(), home, ExitStack()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Sandbox:
        """Write the folder and start the servers; afterwards every attribute is there."""
        try:
            home = self._open_home()
            self.safetyamp = self._open_safetyamp(home / "safetyamp.json")
            self._serve(home)
        except BaseException:
            self._closing.close()
            raise
        return self

    def stop(self) -> None:
        """Stop the servers, then save or remove the folder; calling it twice is harmless."""
        self._closing.close()

    def requests(self, system: str | None = None, since: int = 0) -> list[RequestRecord]:
        """The requests after `since` (a `seq`), in order of arrival: those of one system, or all."""
        return self._log.records(system, since)

    def _open_home(self) -> Path:
        if self._home is None:
            home = Path(self._closing.enter_context(tempfile.TemporaryDirectory(prefix="sandbox-")))
        else:
            home = self._home.absolute()
        (home / "data").mkdir(parents=True, exist_ok=True)
        for left_over in home.glob("viewpoint.db*"):
            left_over.unlink()
        write_viewpoint(self.world, home / "viewpoint.db")
        if not (home / "sync.yaml").exists():
            shutil.copyfile(_RULES, home / "sync.yaml")
        return home

    def _open_safetyamp(self, saved: Path) -> SafetyAmpState:
        """SafetyAmp as it was left in this folder, else as the world has it; a given folder keeps it for next time."""
        spec, seed = repr(self.world.spec), self.world.safetyamp
        if saved.exists():
            kept = json.loads(saved.read_text(encoding="utf-8"))
            if kept["spec"] != spec:
                raise ValueError(f"{saved.parent} holds the world of {kept['spec']}; give another folder, or that spec")
            seed = kept["tables"]
        state = SafetyAmpState(seed, self.options, id_seed=self.world.spec.seed)
        if self._home is not None:
            self._closing.callback(lambda: _replace(saved, json.dumps({"spec": spec, "tables": state.dump()})))
        return state

    def _serve(self, home: Path) -> None:
        authority = LocalAuthority()
        (home / "ca.pem").write_bytes(authority.bundle())
        self.sources = Sources(self.world, home / "viewpoint.db")
        target = self._start(safetyamp_app(self.safetyamp), lambda _: "safetyamp")
        vehicles = self._start(samsara_app(self.world, self.samsara), lambda _: "samsara")
        microsoft = self._start(
            login_graph_app(self.world, self.graph),
            lambda path: "graph" if path.startswith("/v1.0") else "login",
            authority.server_context(),
        )
        self.environment = {
            "SAFETYAMP_ENV_FILE": os.devnull,  # a .env belongs to the real world: its mails and its heartbeat
            "SAFETYAMP_BASE_URL": target.url,
            "SAFETYAMP_FQDN": self.options.fqdn,
            "SAFETYAMP_TOKEN": self.options.token,
            "SAMSARA_BASE_URL": vehicles.url,
            "SAMSARA_API_KEY": self.samsara.token,
            "MS_GRAPH_BASE_URL": f"{microsoft.url}/v1.0",
            "MS_GRAPH_AUTHORITY": microsoft.url,
            "MS_GRAPH_TENANT_ID": self.graph.tenant,
            "MS_GRAPH_CLIENT_ID": self.graph.client_id,
            "MS_GRAPH_CLIENT_SECRET": self.graph.client_secret,
            "REQUESTS_CA_BUNDLE": str(home / "ca.pem"),
            "VIEWPOINT_URL": f"sqlite:///{home / 'viewpoint.db'}",
            "SYNC_CONFIG": str(home / "sync.yaml"),
            "SAFETYAMP_DATA_DIR": str(home / "data"),
            "LEDGER_URL": f"sqlite:///{home / 'data' / 'ledger.db'}",
            "SNAPSHOT_URL": (home / "data" / "snapshots").as_uri(),
            "API_RATE_LIMIT_CALLS": str(self.options.calls),
            "API_RATE_LIMIT_PERIOD": str(self.options.period * _SLACK),
        }
        self._serve_jiras()
        if self.catcher is not None:
            self._closing.callback(self.catcher.start().stop)
            shown = AppServer(self.catcher.app).start()
            self._closing.callback(shown.stop)
            self.alerts_url = shown.url
            self.environment |= self.catcher.environment(shown.url)
        control = AppServer(control_app(self)).start()
        self._closing.callback(control.stop)
        self.control_url = control.url
        door = home / DOOR_FILE
        door.write_text(f"{control.url}\n", encoding="utf-8")
        self._closing.callback(lambda: door.unlink(missing_ok=True))

    def _serve_jiras(self) -> None:
        """A Cloud site with a user and a token, and a Data Center with a token alone, under a context path."""
        instances = []
        for name, state in self.jiras.items():
            server = self._start(jira_app(state), lambda _, name=name: name)  # type: ignore[misc]
            about = {"name": name.removeprefix("jira_"), "token": state.options.token, "calls": 1000, "period": 1}
            if state.kind == "cloud":
                instances.append({**about, "url": server.url, "user": state.options.user})
            else:
                instances.append({**about, "url": f"{server.url}/jira"})
        if instances:
            self.environment["JIRA_INSTANCES"] = json.dumps(instances)

    def _start(self, app: ASGIApp, system_of: Callable[[str], str], tls: ssl.SSLContext | None = None) -> AppServer:
        server = AppServer(Gate(app, self._log, self.faults, system_of), tls).start()
        self._closing.callback(server.stop)
        return server


def _replace(path: Path, text: str) -> None:
    """Write the file so that a sandbox killed meanwhile leaves the old one, not half of the new."""
    unfinished = path.with_suffix(".new")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
