"""Reading the settings: environment > Azure Key Vault (only when configured) > .env > defaults.

The only module that reads the environment. Which settings there are: model.py. pydantic-settings was tried: it takes
no mapping in place of the process's environment, expands ${…} in .env, forgets which layer a value came from, stops at
the first layer that is wrong, and adds 0.4 CPU seconds to every command.
"""

from __future__ import annotations

import atexit
import getpass
import io
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dotenv import dotenv_values
from pydantic import ValidationError

from safetyamp_pipelines.settings.model import (
    Problem,
    Settings,
    SettingsError,
    field_problems,
    file_stamp,
    variable_of,
    variables_in_vault,
)
from safetyamp_pipelines.settings.value_types import database_url, is_loopback
from safetyamp_pipelines.settings.vault import ClientFactory, VaultError, VaultReader
from safetyamp_pipelines.sync.entities.registry import ENTITIES
from safetyamp_pipelines.sync.rules.config import SyncConfig

if sys.platform != "win32":
    import pwd
if TYPE_CHECKING:
    from sqlalchemy import URL

Variables = Mapping[str, str]
ENV_FILE = "SAFETYAMP_ENV_FILE"
"""Names another file than .env; with /dev/null none is read, as in the embedded world."""
_TIMING = (
    "sync_interval_minutes",
    "sync_schedule",
    "sync_on_source_change",
    "sync_config_path",
    "git_url",
    "git_branch",
    "log_format",
    "log_file",
)
_JIRA = (
    *("jira_instances", "jira_config_file", "jira_url_1", "jira_url_2"),
    *("jira_schedule", "jira_sync_minutes"),
)
_ALERTING = ("alert_email_to", "alert_webhook_url", "heartbeat_url", "azure_key_vault_url", "azure_key_vault_name")


def load_settings(
    environ: Mapping[str, str] | None = None,
    env_file: Path | str | None = ".env",
    vault_client_factory: ClientFactory | None = None,
) -> Settings:
    """The settings, all of them checked; SettingsError with every problem at once.

    `environ` None is the process environment, a mapping is exactly that. Values are trimmed; one that is then empty
    counts as not set. Names that are not settings are ignored.
    """
    problems: list[Problem] = []
    environment = _trimmed(os.environ if environ is None else environ)
    dotenv = _env_file(environment.get(ENV_FILE, env_file) if environ is None else env_file, problems)
    vault = _vault({**dotenv, **environment}, environment, vault_client_factory, problems)
    settings = _validated({"environment": environment, "vault": vault, ".env": dotenv}, problems)
    if settings is not None:
        doubtful = _doubtful(problems)
        problems += [problem for problem in _contradictions(settings) if problem.variable not in doubtful]
        problems += _sync_config_problems(settings)
    if settings is None or problems:
        raise SettingsError(problems, settings)
    return settings


def settings_stamp(settings: Settings, environ: Mapping[str, str] | None = None) -> tuple[object, ...]:
    """What changes when somebody writes .env or sync.yaml; the environment of a process never does."""
    env_file = os.environ.get(ENV_FILE, ".env") if environ is None else None
    return file_stamp(env_file), file_stamp(settings.sync_config_path)


def dagster_postgres_url() -> URL | None:
    """DAGSTER_POSTGRES_URL: where Dagster keeps its own runs and events; None for SQLite.

    Asked by Dagster before anything else starts, so it stands apart: the UI must open even when a setting is wrong.
    """
    text = _trimmed(os.environ).get("DAGSTER_POSTGRES_URL")
    if not text:
        return None
    return database_url(text)


def dagster_home(environ: Mapping[str, str] | None = None) -> Path:
    """DAGSTER_HOME; without it a folder in SAFETYAMP_DATA_DIR, the same one for every process started here."""
    variables = _trimmed(os.environ if environ is None else environ)
    home = variables.get("DAGSTER_HOME")
    return Path(home) if home else Path(variables.get("SAFETYAMP_DATA_DIR", ".safetyamp")).absolute() / "dagster"


def has_dagster_home() -> bool:
    """Whether this process shares a Dagster home with a daemon."""
    return "DAGSTER_HOME" in _trimmed(os.environ)


@dataclass(frozen=True)
class TimingSettings:
    """What schedules, sensors and source links are declared with. `problems` are the settings that were wrong: their
    defaults hold. `may_alert`: an alert would reach somebody, as far as is known without asking Key Vault."""

    interval_minutes: int
    is_on: bool
    is_on_source_change: bool
    timezone: str
    problems: tuple[Problem, ...]
    git_url: str | None = None
    git_branch: str = "main"
    may_alert: bool = False
    log_format: Literal["text", "json"] = "text"
    log_file: Path | None = None
    jira_minutes: int | None = None
    """Minutes between two reads of Jira; None where none is configured."""
    is_jira_on: bool = False
    apart: frozenset[str] = frozenset()
    """Entities that take no part in sync_all."""


def timing_settings(environ: Mapping[str, str] | None = None, env_file: Path | str | None = ".env") -> TimingSettings:
    """What Dagster has to know of the settings when it loads the definitions, from the environment and .env alone.

    A wrong setting must not keep the UI from opening: it reads as its default here, and every tick and run reports it.
    """
    problems: list[Problem] = []
    layers = {"environment": _trimmed(os.environ if environ is None else environ)}
    layers[".env"] = _env_file(layers["environment"].get(ENV_FILE, env_file) if environ is None else env_file, problems)
    wanted = {*map(variable_of, (*_TIMING, *_ALERTING, *_JIRA))}
    chosen = {origin: {name: text for name, text in own.items() if name in wanted} for origin, own in layers.items()}
    settings = _validated(chosen, problems) or Settings.model_construct()
    try:
        config = settings.sync_config()
    except SettingsError as error:
        problems += error.problems
        config = SyncConfig()
    return TimingSettings(
        apart=frozenset(spec.name for spec in ENTITIES if not config.of(spec).in_sync_all),
        interval_minutes=settings.sync_interval_minutes,
        is_on=settings.sync_schedule == "on",
        is_on_source_change=settings.sync_on_source_change == "on",
        timezone=config.schedule.timezone,
        problems=tuple(problems),
        git_url=settings.git_url,
        git_branch=settings.git_branch,
        may_alert=any(getattr(settings, name) for name in _ALERTING),
        log_format=settings.log_format,
        log_file=settings.log_file,
        jira_minutes=settings.jira_sync_minutes if settings.has_jira else None,
        is_jira_on=settings.jira_schedule == "on",
    )


def login_name() -> str:
    """The login name of the user who runs this process, whatever LOGNAME and USER say: one person could approve as two.
    "unknown" where there is none, as in a container."""
    if sys.platform == "win32":
        return getpass.getuser()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return "unknown"


def child_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The process environment for a command started on the sandbox: `settings` instead of any of this machine's."""
    own = {*map(variable_of, Settings.model_fields), "DAGSTER_POSTGRES_URL", "DAGSTER_HOME"}
    inherited = {name: text for name, text in os.environ.items() if name not in own and not name.startswith("AZURE_")}
    return {**inherited, ENV_FILE: os.devnull, **settings}


def trust_for_openssl(ca_file: Path | None) -> None:
    """Have libraries that go by OpenSSL's own defaults, such as the ODBC driver, trust this authority too. They read
    the variable when they connect; what the machine's folder of certificates holds goes on being trusted."""
    if ca_file is None:
        return
    known = Path(os.environ.get("SSL_CERT_FILE") or ca_file)
    authority, trusted = ca_file.read_bytes(), known.read_bytes() if known.is_file() else b""
    if authority not in trusted:
        both = tempfile.NamedTemporaryFile(suffix=".pem")  # noqa: SIM115 (it has to last as long as the process)
        both.write(trusted + b"\n" + authority)
        both.flush()
        atexit.register(both.close)
        known = Path(both.name)
    os.environ["SSL_CERT_FILE"] = str(known)


def _trimmed(variables: Mapping[str, str | None]) -> Variables:
    return {name: text.strip() for name, text in variables.items() if text is not None and text.strip()}


def _env_file(path: Path | str | None, problems: list[Problem]) -> Variables:
    """The variables of a .env file exactly as written: ${…} is not expanded, since passwords may hold it."""
    if path is None or not Path(path).exists():
        return {}
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(str(path), f"cannot be read ({type(error).__name__})", "Make it a readable UTF-8 file"))
        return {}
    return _trimmed(dotenv_values(stream=io.StringIO(text), interpolate=False))


def _vault(own: Variables, environment: Variables, factory: ClientFactory | None, problems: list[Problem]) -> Variables:
    """What the vault that `own` configures holds, asked only for what the environment has not: each name is a call.

    A wrong address counts as none here: it is reported with the other wrong values.
    """
    address = {name: own.get(variable_of(name)) for name in ("azure_key_vault_url", "azure_key_vault_name")}
    try:
        url = Settings.model_validate(address).vault_url()
    except ValidationError:
        return {}
    if url is None:
        return {}
    try:
        wanted = [variable for variable in variables_in_vault() if variable not in environment]
        return _trimmed(VaultReader(url, factory).read(wanted))
    except VaultError as error:
        problems.append(Problem("AZURE_KEY_VAULT_URL", error.what, error.do))
        return {}


def _validated(layers: Mapping[str, Variables], problems: list[Problem]) -> Settings | None:
    """The settings of these layers, strongest first. Each wrong value becomes a problem and its field keeps the
    default, so that the checks across fields see the rest; None when even the defaults do not hold on this machine.
    """
    values: dict[str, str] = {}
    origins: dict[str, str] = {}
    for name in Settings.model_fields:
        for origin, variables in layers.items():
            if name not in values and variable_of(name) in variables:
                values[name], origins[name] = variables[variable_of(name)], origin
    errors = _errors(values)
    for name, (what, do) in errors.items():
        place = f" (from {origins[name]})" if origins.get(name, "environment") != "environment" else ""
        problems.append(Problem(variable_of(name), what + place, do))
    right = {name: text for name, text in values.items() if name not in errors}
    return None if _errors(right) else Settings.model_validate(right).with_origins(origins)


def _errors(values: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    try:
        Settings.model_validate(values)
    except ValidationError as error:
        return field_problems(error)
    return {}


def _doubtful(problems: list[Problem]) -> set[str]:
    """Variables that may well be set although the settings lack them: those reported already, and what a vault that was
    not read may hold."""
    reported = {problem.variable for problem in problems}
    return reported | set(variables_in_vault()) if "AZURE_KEY_VAULT_URL" in reported else reported


def _contradictions(settings: Settings) -> Iterator[Problem]:
    """What no single variable shows."""
    url, name = settings.azure_key_vault_url, settings.azure_key_vault_name
    if url is not None and name is not None and url != f"https://{name}.vault.azure.net":
        yield Problem("AZURE_KEY_VAULT_NAME", "names another vault than AZURE_KEY_VAULT_URL", "Remove one of the two")
    if settings.alert_email_to:
        for needed in ("alert_email_from", "smtp_server"):
            if getattr(settings, needed) is None:
                yield Problem(variable_of(needed), "is not set, but ALERT_EMAIL_TO is", "Set both, or remove that one")
    if settings.observed_max_age_minutes > settings.plan_max_age_minutes:
        too_much = f"is more than PLAN_MAX_AGE_MINUTES ({settings.plan_max_age_minutes})"
        yield Problem("OBSERVED_MAX_AGE_MINUTES", too_much, "Lower it: rows older than the plan may get are never used")
    if (settings.smtp_username is None) != (settings.smtp_password is None):
        absent = "SMTP_PASSWORD" if settings.smtp_password is None else "SMTP_USERNAME"
        yield Problem(absent, "is not set, but its counterpart is", "Set SMTP_USERNAME and SMTP_PASSWORD, or neither")
    if settings.smtp_starttls == "off" and settings.smtp_username and not is_loopback(settings.smtp_server or ""):
        do = "Set it to required, or remove SMTP_USERNAME and SMTP_PASSWORD"
        yield Problem("SMTP_STARTTLS", "is off, which would show the login to the network", do)


def _sync_config_problems(settings: Settings) -> tuple[Problem, ...]:
    try:
        settings.sync_config()
    except SettingsError as error:
        return error.problems
    return ()
