"""The settings themselves: which variables there are, what each may hold, what a system needs. Nothing is read here.

Where the values come from is loading.py's; the kinds of value are value_types.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError

from safetyamp_pipelines.settings import value_types as kinds
from safetyamp_pipelines.sync.entities.registry import hide_in_logs
from safetyamp_pipelines.sync.model.errors import Refusal
from safetyamp_pipelines.sync.rules.config import SyncConfig
from safetyamp_pipelines.sync.rules.yaml_file import SyncConfigError, parse_sync_config

if TYPE_CHECKING:
    from sqlalchemy import URL

System = Literal["safetyamp", "samsara", "entra", "viewpoint"]

_VARIABLES: Mapping[str, str] = {
    "data_dir": "SAFETYAMP_DATA_DIR",
    "sync_config_path": "SYNC_CONFIG",
    "sync_in_flight": "SYNC_CALLS_IN_FLIGHT",
    "viewpoint_dsn": "VIEWPOINT_URL",
}
"""Fields whose variable is not simply their name in capitals."""

_PLAIN_IN_VAULT = frozenset(
    {"ms_graph_tenant_id", "ms_graph_client_id", "sql_server", "sql_database", "sql_username"}
    | {"alert_email_from", "alert_email_to", "smtp_username"}
)
"""Fields that are not secrets and yet are looked for in Key Vault: existing vaults keep them there."""

_REQUIRED: Mapping[System, tuple[str, ...]] = {
    "safetyamp": ("safetyamp_fqdn", "safetyamp_token"),
    "samsara": ("samsara_api_key",),
    "entra": ("ms_graph_tenant_id", "ms_graph_client_id", "ms_graph_client_secret"),
    "viewpoint": ("sql_server", "sql_database"),
}


@dataclass(frozen=True)
class Problem:
    """One thing a person has to correct. `what` never carries the value of a secret."""

    variable: str
    what: str
    do: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.what}. {self.do}."


class SettingsError(Refusal):
    """The settings or sync.yaml are wrong; `problems` holds everything that is, and str() one line for each.

    `usable` are the settings with the default for every wrong value, where that works, for the alert about it.
    """

    def __init__(self, problems: Iterable[Problem], usable: Settings | None = None) -> None:
        self.problems, self.usable = tuple(problems), usable
        super().__init__("\n".join(str(problem) for problem in self.problems))


def _ledger_in(data: Mapping[str, Any]) -> SecretStr:
    return SecretStr("sqlite:///" + quote(str(data["data_dir"] / "ledger.db"), safe=" +/"))


def _jira_in(data: Mapping[str, Any]) -> SecretStr:
    ledger: SecretStr = data["ledger_url"]
    return ledger


def _snapshots_in(data: Mapping[str, Any]) -> str:
    return str(data["data_dir"] / "snapshots")


class Settings(BaseModel):
    """All settings, checked. `Settings(...)` takes what it is given and reads nothing; `load_settings` reads.

    A field's variable is its name in capitals, except for those in `_VARIABLES`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)

    safetyamp_base_url: kinds.BaseUrl = "https://api.safetyamp.com"
    safetyamp_fqdn: kinds.HostName | None = None
    safetyamp_token: kinds.Token | None = None
    safetyamp_page_size: Annotated[int, kinds.whole_number(1, 1000)] = 100
    safetyamp_user_agent: kinds.HeaderText = "SafetyAmpPipelines/1.0"
    api_rate_limit_calls: Annotated[int, kinds.whole_number(1)] = 60
    api_rate_limit_period: kinds.PositiveSeconds = 61.0
    http_request_timeout: kinds.PositiveSeconds = 30.0
    requests_ca_bundle: kinds.ExistingPath | None = None

    samsara_base_url: kinds.BaseUrl = "https://api.samsara.com"
    samsara_api_key: kinds.Token | None = None

    ms_graph_base_url: kinds.BaseUrl = "https://graph.microsoft.com/v1.0"
    ms_graph_authority: kinds.HttpsOrigin = "https://login.microsoftonline.com"
    ms_graph_tenant_id: kinds.DirectoryId | None = None
    ms_graph_client_id: kinds.DirectoryId | None = None
    ms_graph_client_secret: SecretStr | None = None

    viewpoint_dsn: kinds.ViewpointUrl | None = None
    sql_server: kinds.SqlServer | None = None
    sql_database: str | None = None
    sql_trust_server_certificate: kinds.OnOff = "off"
    sql_host_name_in_certificate: kinds.HostName | None = None
    sql_ca_file: kinds.ReadableFile | None = None
    sql_driver: str = "ODBC Driver 18 for SQL Server"
    sql_auth_mode: kinds.SqlAuthMode = "sql_auth"
    sql_username: str | None = None
    sql_password: SecretStr | None = None

    azure_key_vault_url: kinds.HttpsUrl | None = None
    azure_key_vault_name: kinds.VaultName | None = None
    azure_storage_connection_string: SecretStr | None = None

    data_dir: kinds.DataDir = Path(".safetyamp")
    # Right by construction, and checking them would load SQLAlchemy whenever the definitions are loaded.
    ledger_url: kinds.LedgerUrl = Field(default_factory=_ledger_in, validate_default=False)
    snapshot_url: kinds.SnapshotUrl = Field(default_factory=_snapshots_in, validate_default=False)
    snapshot_encryption_key: kinds.FernetKey | None = None
    snapshot_keep_count: Annotated[int, kinds.whole_number(1)] = 50
    snapshot_keep_days: Annotated[int, kinds.whole_number(1)] = 30

    sync_config_path: kinds.ExistingPath | None = None
    sync_interval_minutes: kinds.SyncInterval = 15
    sync_schedule: kinds.OnOff = "off"
    sync_on_source_change: kinds.OnOff = "off"
    sync_in_flight: Annotated[int, kinds.whole_number(1, 60)] = 4
    observed_max_age_minutes: Annotated[int, kinds.whole_number(1)] = 15
    plan_max_age_minutes: Annotated[int, kinds.whole_number(1)] = 60

    jira_instances: SecretStr | None = None
    jira_config_file: kinds.ExistingPath | None = None
    jira_tokens: SecretStr | None = None
    jira_url_1: kinds.BaseUrl | None = None
    jira_username_1: str | None = None
    jira_password_1: SecretStr | None = None
    jira_url_2: kinds.BaseUrl | None = None
    jira_username_2: str | None = None
    jira_password_2: SecretStr | None = None
    jira_database_url: kinds.LedgerUrl = Field(default_factory=_jira_in, validate_default=False)
    jira_mapping: kinds.ExistingPath | None = None
    jira_schedule: kinds.OnOff = "off"
    jira_sync_minutes: Annotated[kinds.SyncInterval, kinds.whole_number(2)] = 5

    log_format: kinds.LogFormat = "text"
    log_level: kinds.LogLevel = "INFO"
    log_file: kinds.NewFile | None = None

    git_url: kinds.HttpsUrl | None = None
    git_branch: str = "main"

    alert_email_from: kinds.EmailAddress | None = None
    alert_email_to: kinds.EmailAddresses = ()
    alert_webhook_url: kinds.WebhookUrl | None = None
    smtp_server: kinds.HostName | None = None
    smtp_port: Annotated[int, kinds.whole_number(1, 65535)] = 587
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_starttls: kinds.StartTls = "offered"
    heartbeat_url: kinds.WebhookUrl | None = None
    dagster_ui_url: kinds.UiUrl | None = None
    otel_exporter_otlp_endpoint: kinds.UiUrl | None = None

    desk_url: kinds.UiUrl | None = None
    desk_user_header: kinds.HeaderName | None = None
    desk_trusted_proxies: kinds.Networks = ()
    desk_readers: kinds.Words = ()
    desk_approvers: kinds.Words = ()

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _sync_config: SyncConfig | None = PrivateAttr(default=None)
    _newest: tuple[object, SyncConfig] | None = PrivateAttr(default=None)

    @property
    def seconds_a_call(self) -> float:
        """The pace of calls to SafetyAmp that the budget allows in the long run."""
        return self.api_rate_limit_period / self.api_rate_limit_calls

    @property
    def has_jira(self) -> bool:
        """Whether a Jira instance is configured, as far as these settings know."""
        return any((self.jira_instances, self.jira_config_file, self.jira_url_1, self.jira_url_2))

    def require(self, *systems: System) -> None:
        """Return when everything these systems need is set; else SettingsError with every variable that is missing."""
        names = [name for system in systems for name in self._needed(system) if getattr(self, name) is None]
        if names:
            raise SettingsError(_missing(name) for name in dict.fromkeys(names))

    def _needed(self, system: System) -> tuple[str, ...]:
        if system != "viewpoint":
            return _REQUIRED[system]
        if self.viewpoint_dsn is not None:
            return ()
        login = ("sql_username", "sql_password") if self.sql_auth_mode == "sql_auth" else ()
        return _REQUIRED["viewpoint"] + login

    def viewpoint_url(self) -> URL:
        """VIEWPOINT_URL, or the URL that the SQL_* variables describe; SettingsError when there is neither.

        The SQL_* variables also complete a VIEWPOINT_URL: its own parts stand. With managed identity it carries no
        login: the reader hands a token to the driver instead.
        """
        self.require("viewpoint")
        if self.viewpoint_dsn is not None:
            url = kinds.database_url(self.viewpoint_dsn.get_secret_value())
        else:
            host, port = kinds.sql_server_parts(self.sql_server or "")
            url = kinds.database_url("mssql+pyodbc://").set(host=host, port=port, database=self.sql_database)
        given = {key.lower() for key in url.query}
        if url.get_backend_name() != "mssql" or "odbc_connect" in given:
            return url
        has_login = url.username is not None or given & {"authentication", "trusted_connection"}
        if self.sql_auth_mode == "sql_auth" and not has_login:
            password = self.sql_password.get_secret_value() if self.sql_password else None
            url = url.set(username=self.sql_username, password=password)
        parts = {
            "driver": self.sql_driver,
            "TrustServerCertificate": "yes" if self.sql_trust_server_certificate == "on" else None,
            "HostNameInCertificate": self.sql_host_name_in_certificate,
        }
        return url.update_query_dict({name: text for name, text in parts.items() if text and name.lower() not in given})

    def vault_url(self) -> str | None:
        """The address of the configured Key Vault, None when none is."""
        if self.azure_key_vault_url is None and self.azure_key_vault_name is not None:
            return f"https://{self.azure_key_vault_name}.vault.azure.net"
        return self.azure_key_vault_url

    @property
    def budget_path(self) -> Path:
        """The file through which all processes on this machine share the call budget."""
        return self.data_dir / "budget.db"

    def sync_config(self) -> SyncConfig:
        """The business rules from SYNC_CONFIG, else from the packaged sync.yaml; SettingsError when it is wrong."""
        if self._sync_config is None:
            self._newest = file_stamp(self.sync_config_path), read_sync_config(self.sync_config_path)
            self._sync_config = self._newest[1]
        return self._sync_config

    def sync_config_now(self) -> SyncConfig:
        """The same as the file stands now, for what lives on: a page, a freeze during a push. While the file is wrong,
        what it said before."""
        stamp, (before, newest) = file_stamp(self.sync_config_path), self._newest or (None, self.sync_config())
        if stamp != before:
            with suppress(SettingsError):
                newest = read_sync_config(self.sync_config_path)
                self._newest = stamp, newest
        return newest

    def with_origins(self, origins: Mapping[str, str]) -> Self:
        """These settings, remembering for `masked` which layer each field came from."""
        copy = self.model_copy()
        copy._origins = dict(origins)
        return copy

    def masked(self) -> dict[str, str]:
        """Variable to value and source, for display: secrets appear only as set or not set."""
        lines = {}
        for name in type(self).model_fields:
            origin = self._origins.get(name, "default")
            lines[variable_of(name)] = f"{_displayed(name, getattr(self, name))} [{origin}]"
        return lines


def field_problems(error: ValidationError) -> dict[str, tuple[str, str]]:
    """Per field what is wrong and what to do. A default that waits for another wrong field is not reported."""
    found: dict[str, tuple[str, str]] = {}
    for one in error.errors(include_input=False, include_url=False):
        if one["type"] == "default_factory_not_called":
            continue
        context = one.get("ctx", {})
        what = context.get("what", one["msg"].replace("Input should", "must"))
        found[str(one["loc"][0])] = (what, context.get("do", "Correct it"))
    return found


def variable_of(field: str) -> str:
    """The environment variable of a field."""
    return _VARIABLES.get(field, field.upper())


def variables_in_vault() -> list[str]:
    """The variables that are looked for in Key Vault: every secret, and what existing vaults keep beside them."""
    return [variable_of(name) for name in Settings.model_fields if _is_in_vault(name)]


def _is_in_vault(name: str) -> bool:
    return name in _PLAIN_IN_VAULT or _holds_secret(Settings.model_fields[name].annotation)


def _holds_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_holds_secret(part) for part in get_args(annotation))


def file_stamp(path: Path | str | None) -> object:
    """What changes when the file is written, replaced or removed; None for none."""
    try:
        found = Path(path).stat() if path is not None else None
    except OSError:
        return None
    return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)


def text_of(path: Path, variable: str) -> str:
    """The text of a file that this variable names. Raises SettingsError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = f"{path}: cannot be read ({type(error).__name__})"
        raise SettingsError([Problem(variable, what, "Give the path of a readable UTF-8 file")]) from error


def read_sync_config(path: Path | None) -> SyncConfig:
    """The business rules in this file, else in the packaged one."""
    packaged = resources.files("safetyamp_pipelines") / "sync.yaml"
    text = packaged.read_text(encoding="utf-8") if path is None else text_of(path, "SYNC_CONFIG")
    try:
        config = parse_sync_config(text)
    except SyncConfigError as error:
        file = path or "the packaged sync.yaml"
        raise SettingsError(
            Problem("SYNC_CONFIG", f"{file}: {where}: {what}", "Correct it there") for where, what in error.problems
        ) from error
    hide_in_logs(config.personal_names())
    return config


def _missing(name: str) -> Problem:
    variable = variable_of(name)
    ways = ["Set it in the environment or .env"]
    if _is_in_vault(name):
        ways.append(f"as {variable.replace('_', '-')} in Key Vault")
    if name in ("sql_username", "sql_password"):
        ways.append("set SQL_AUTH_MODE to managed_identity")
    if name.startswith("sql_"):
        ways.append("set VIEWPOINT_URL instead")
    return Problem(variable, "is not set", ", or ".join(ways))


def _displayed(name: str, value: Any) -> str:
    """A value for display; of a database's URL the parts that hold no login."""
    if value is None or value == ():
        return "not set"
    if name in ("ledger_url", "viewpoint_dsn", "jira_database_url"):
        url = kinds.database_url(value.get_secret_value())
        port = "" if url.port is None else f":{url.port}"
        return f"{url.drivername}://{url.host or ''}{port}/{url.database or ''}"
    if isinstance(value, SecretStr):
        return "set, not shown"
    return ", ".join(value) if isinstance(value, tuple) else str(value).partition("?")[0]
