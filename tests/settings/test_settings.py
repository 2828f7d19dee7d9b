"""Settings: the strongest layer wins, every problem is told at once, and no secret is ever shown."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import ValidationError

from safetyamp_pipelines.settings.loading import child_environment, load_settings, timing_settings
from safetyamp_pipelines.settings.model import Problem, Settings, SettingsError, variable_of
from safetyamp_pipelines.sync.model.errors import Refusal
from safetyamp_pipelines.sync.rules.config import SyncConfig

SECRETS = {
    "SAFETYAMP_TOKEN": "s3cret-safetyamp",
    "SAMSARA_API_KEY": "s3cret-samsara",
    "MS_GRAPH_CLIENT_SECRET": "s3cret-graph",
    "SQL_PASSWORD": "s3cret-sql",
    "SMTP_PASSWORD": "s3cret-smtp",
    "VIEWPOINT_URL": "mssql+pyodbc://reader:s3cret-url@vista/db?Encrypt=yes",
    "LEDGER_URL": "postgresql://ledger:s3cret-ledger@db/ledger?sslpassword=s3cret-query",
    "ALERT_WEBHOOK_URL": "https://hooks.example.com/s3cret-hook",
    "SNAPSHOT_ENCRYPTION_KEY": Fernet.generate_key().decode(),
}


def load(environ: Mapping[str, str] | None = None, env_file: Path | None = None) -> Settings:
    return load_settings(environ or {}, env_file=env_file)


def problems(environ: Mapping[str, str], env_file: Path | None = None) -> dict[str, Problem]:
    with pytest.raises(SettingsError) as caught:
        load(environ, env_file)
    return {problem.variable: problem for problem in caught.value.problems}


def env_file(folder: Path, text: str) -> Path:
    path = folder / "test.env"
    path.write_text(text, encoding="utf-8")
    return path


# --- layers ---


def test_an_empty_environment_is_enough_to_load_definitions() -> None:
    settings = load()

    assert settings.safetyamp_base_url == "https://api.safetyamp.com"
    assert settings.ms_graph_base_url.endswith("/v1.0")
    assert (settings.api_rate_limit_calls, settings.api_rate_limit_period) == (60, 61.0)
    assert settings.safetyamp_token is None


def test_the_environment_wins_over_the_env_file_and_that_over_defaults(tmp_path: Path) -> None:
    file = env_file(tmp_path, "SAFETYAMP_FQDN=file.safetyamp.com\nLOG_LEVEL=debug\n")

    settings = load({"SAFETYAMP_FQDN": "environment.safetyamp.com"}, file)

    assert settings.safetyamp_fqdn == "environment.safetyamp.com"
    assert settings.log_level == "DEBUG"
    assert settings.log_format == "text"


def test_an_empty_value_counts_as_not_set(tmp_path: Path) -> None:
    file = env_file(tmp_path, "SAFETYAMP_FQDN=file.safetyamp.com\nSMTP_PORT=\n")

    settings = load({"SAFETYAMP_FQDN": "  ", "SAFETYAMP_TOKEN": "", "SMTP_PORT": ""}, file)

    assert settings.safetyamp_fqdn == "file.safetyamp.com"
    assert settings.safetyamp_token is None
    assert settings.smtp_port == 587


def test_a_token_from_a_file_loses_its_line_break() -> None:
    token = load({"SAFETYAMP_TOKEN": "abc\n"}).safetyamp_token

    assert token is not None
    assert token.get_secret_value() == "abc"


def test_names_that_are_no_setting_are_ignored(tmp_path: Path) -> None:
    settings = load({"PATH": "/bin", "SAFETYAMP_COLOUR": "red"}, env_file(tmp_path, "EDITOR=vi\nnot a line\n"))

    assert settings == load()


def test_a_password_in_the_env_file_is_taken_as_written(tmp_path: Path) -> None:
    file = env_file(tmp_path, "SQL_PASSWORD=pa$s${HOME}word\n")

    password = load({}, file).sql_password

    assert password is not None
    assert password.get_secret_value() == "pa$s${HOME}word"


def test_an_env_file_that_does_not_exist_is_no_problem(tmp_path: Path) -> None:
    assert load({}, tmp_path / "absent.env") == load()


def test_an_env_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "latin.env").write_bytes(b"SQL_PASSWORD=\xff\xfe\xe9\n")

    assert "cannot be read" in problems({}, tmp_path)[str(tmp_path)].what
    assert "cannot be read" in problems({}, tmp_path / "latin.env")[str(tmp_path / "latin.env")].what


def test_a_wrong_value_from_the_env_file_says_where_it_came_from(tmp_path: Path) -> None:
    file = env_file(tmp_path, "SMTP_PORT=mail\n")

    assert problems({}, file)["SMTP_PORT"].what == "is not a whole number (from .env)"


def test_settings_made_directly_read_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    env_file(tmp_path, "").rename(tmp_path / ".env").write_text("SAFETYAMP_FQDN=file.safetyamp.com")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAFETYAMP_TOKEN", "from-the-machine")

    assert Settings().safetyamp_token is None
    assert Settings().safetyamp_fqdn is None


def test_the_process_environment_and_dot_env_are_read_when_nothing_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("SAFETYAMP_FQDN=file.safetyamp.com")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAFETYAMP_PAGE_SIZE", "25")

    settings = load_settings()

    assert settings.safetyamp_page_size == 25
    assert settings.safetyamp_fqdn == "file.safetyamp.com"


# --- what is kept where ---


def test_everything_kept_lies_in_one_absolute_folder_by_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    settings = load()

    assert settings.data_dir == tmp_path / ".safetyamp"
    assert settings.ledger_url.get_secret_value() == f"sqlite:///{tmp_path}/.safetyamp/ledger.db"
    assert settings.snapshot_url == str(tmp_path / ".safetyamp" / "snapshots")
    assert settings.budget_path == tmp_path / ".safetyamp" / "budget.db"
    assert not settings.data_dir.exists(), "loading settings writes nothing"


def test_another_data_folder_moves_everything_that_has_no_place_of_its_own(tmp_path: Path) -> None:
    settings = load({"SAFETYAMP_DATA_DIR": str(tmp_path), "SNAPSHOT_URL": "/elsewhere"})

    assert settings.ledger_url.get_secret_value() == f"sqlite:///{tmp_path}/ledger.db"
    assert settings.snapshot_url == "/elsewhere"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_way_to_write_postgresql_uses_the_one_driver(scheme: str) -> None:
    settings = load({"LEDGER_URL": f"{scheme}://me:p%40ss@db:5433/ledger"})

    assert settings.ledger_url.get_secret_value() == "postgresql+psycopg2://me:p%40ss@db:5433/ledger"


def test_every_process_opens_the_same_ledger_whatever_folder_it_starts_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    assert load({"LEDGER_URL": "sqlite:///own.db"}).ledger_url.get_secret_value() == f"sqlite:///{tmp_path}/own.db"


# --- one wrong value each ---


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("SAFETYAMP_BASE_URL", "http://api.safetyamp.com", "plain http"),
        ("SAFETYAMP_BASE_URL", "api.safetyamp.com", "not a URL"),
        ("SAFETYAMP_BASE_URL", "https://user:s3cret@api.safetyamp.com", "more than an address"),
        ("SAFETYAMP_BASE_URL", "https://host:port", "not a URL"),
        ("SAMSARA_BASE_URL", "http://127.evil.example", "plain http"),
        ("SAMSARA_BASE_URL", "ftp://localhost", "not a URL"),
        ("MS_GRAPH_BASE_URL", "http://graph.microsoft.com/v1.0", "plain http"),
        ("MS_GRAPH_AUTHORITY", "http://localhost:8080", "not https"),
        ("MS_GRAPH_AUTHORITY", "https://login.microsoftonline.com/tenant", "holds a path"),
        ("MS_GRAPH_TENANT_ID", "a/b", "not an id"),
        ("SAFETYAMP_FQDN", "https://company.safetyamp.com", "bare host name"),
        ("SAFETYAMP_FQDN", "company.safetyamp.com/", "bare host name"),
        ("SAFETYAMP_TOKEN", "s3cret with blank", "blank"),
        ("SAMSARA_API_KEY", "s3cret\r\nX-Evil: 1", "line break"),
        ("SAFETYAMP_USER_AGENT", "Firma\u0142/1.0", "HTTP header"),
        ("SAFETYAMP_PAGE_SIZE", "0", "out of range"),
        ("SAFETYAMP_PAGE_SIZE", "2.5", "whole number"),
        ("API_RATE_LIMIT_CALLS", "-1", "out of range"),
        ("API_RATE_LIMIT_PERIOD", "0", "above 0"),
        ("API_RATE_LIMIT_PERIOD", "nan", "above 0"),
        ("HTTP_REQUEST_TIMEOUT", "inf", "above 0"),
        ("HTTP_REQUEST_TIMEOUT", "soon", "above 0"),
        ("SMTP_PORT", "65536", "out of range"),
        ("SYNC_INTERVAL_MINUTES", "0", "not a rhythm"),
        ("SYNC_INTERVAL_MINUTES", "7", "not a rhythm"),
        ("SYNC_INTERVAL_MINUTES", "90", "not a rhythm"),
        ("SYNC_INTERVAL_MINUTES", "often", "not a rhythm"),
        ("SYNC_SCHEDULE", "true", "known words"),
        ("SYNC_CALLS_IN_FLIGHT", "many", "whole number"),
        ("SQL_AUTH_MODE", "kerberos", "known words"),
        ("SQL_SERVER", "vista;PWD=x", "name of a server"),
        ("LOG_FORMAT", "xml", "known words"),
        ("LOG_LEVEL", "LOUD", "known words"),
        ("VIEWPOINT_URL", "postgresql://u:s3cret@h/db", "neither mssql+pyodbc nor sqlite"),
        ("VIEWPOINT_URL", "s3cret", "not a SQLAlchemy URL"),
        ("LEDGER_URL", "mysql://u:s3cret@h/db", "neither SQLite nor PostgreSQL"),
        ("LEDGER_URL", "postgresql+asyncpg://u:s3cret@h/db", "neither SQLite nor PostgreSQL"),
        ("LEDGER_URL", "sqlite://", "forgets"),
        ("LEDGER_URL", "sqlite:///:memory:", "forgets"),
        ("SNAPSHOT_URL", "warp://x/y", "does not know"),
        ("SNAPSHOT_ENCRYPTION_KEY", "s3cret", "not a Fernet key"),
        ("ALERT_WEBHOOK_URL", "http://hooks.example.com/s3cret", "not an https URL"),
        ("ALERT_EMAIL_FROM", "safety at example.com", "not an e-mail address"),
        ("ALERT_EMAIL_FROM", "safety..team@example.com", "not an e-mail address"),
        ("ALERT_EMAIL_FROM", "sicherheit.jörg@example.com", "not an e-mail address"),
        ("ALERT_EMAIL_TO", "a@example.com, b", "list of e-mail addresses"),
        ("ALERT_EMAIL_TO", "on-call@[example", "list of e-mail addresses"),
        ("SMTP_SERVER", "smtp://mail", "bare host name"),
        ("SMTP_STARTTLS", "yes", "known words"),
        ("HEARTBEAT_URL", "http://beats.example.com/s3cret", "not an https URL"),
        ("DAGSTER_UI_URL", "dagster.example.com", "not a URL"),
        ("DAGSTER_UI_URL", "https://me:s3cret@dagster.example.com", "more than an address"),
        ("AZURE_KEY_VAULT_URL", "http://vault.example.com", "not https"),
        ("AZURE_KEY_VAULT_NAME", "my_vault", "name of a vault"),
        ("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem", "does not exist"),
        ("SYNC_CONFIG", "/nowhere/sync.yaml", "does not exist"),
        ("SQL_CA_FILE", "/nowhere/ca.pem", "does not exist"),
        ("SQL_CA_FILE", "/", "cannot be read (IsADirectoryError)"),
    ],
)
def test_a_wrong_value_is_told_with_its_variable_and_what_to_do(variable: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({variable: value})

    found = {problem.variable: problem for problem in caught.value.problems}
    assert words in found[variable].what
    assert found[variable].do
    assert f"{variable}: {found[variable].what}. {found[variable].do}." in str(caught.value)
    assert "s3cret" not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://localhost:1/", "http://[::1]:9", "http://127.9.9.9", "https://api.example"]
)
def test_plain_http_is_for_loopback_only(url: str) -> None:
    settings = load({"SAFETYAMP_BASE_URL": url, "SAMSARA_BASE_URL": url, "MS_GRAPH_BASE_URL": f"{url}/v1.0"})

    assert settings.safetyamp_base_url == settings.samsara_base_url == url.rstrip("/")


def test_a_data_folder_that_is_a_file_is_the_only_problem_told(tmp_path: Path) -> None:
    """The ledger and the snapshots default to places inside it; their not being known is not a problem of its own."""
    file = env_file(tmp_path, "")

    assert set(problems({"SAFETYAMP_DATA_DIR": str(file)})) == {"SAFETYAMP_DATA_DIR"}


def test_a_default_that_does_not_hold_on_this_machine_is_a_problem_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".safetyamp").touch()
    monkeypatch.chdir(tmp_path)

    assert problems({})["SAFETYAMP_DATA_DIR"].what == "is not a folder"


def test_mail_goes_to_every_address_named() -> None:
    settings = load(
        {"ALERT_EMAIL_TO": "a@example.com; b@example.com,", "ALERT_EMAIL_FROM": "s@example.com", "SMTP_SERVER": "mail"}
    )

    assert settings.alert_email_to == ("a@example.com", "b@example.com")


def test_the_address_of_the_ui_is_one_of_an_inner_network() -> None:
    assert load({"DAGSTER_UI_URL": "http://dagster.inside:3000/"}).dagster_ui_url == "http://dagster.inside:3000"


def test_a_login_to_the_mail_server_is_not_sent_in_clear_text_except_on_this_machine() -> None:
    login = {"SMTP_USERNAME": "me", "SMTP_PASSWORD": "s3cret", "SMTP_STARTTLS": "off"}

    assert load({**login, "SMTP_SERVER": "localhost"}).smtp_starttls == "off"
    assert "show the login" in problems({**login, "SMTP_SERVER": "mail"})["SMTP_STARTTLS"].what


@pytest.mark.parametrize(
    ("environment", "may_alert"),
    [
        ({}, False),
        ({"SMTP_SERVER": "mail"}, False),
        ({"ALERT_EMAIL_TO": "a@example.com"}, True),
        ({"ALERT_WEBHOOK_URL": "https://hooks.example.com/x"}, True),
        ({"HEARTBEAT_URL": "https://beats.example.com/x"}, True),
        ({"AZURE_KEY_VAULT_NAME": "safety-vault"}, True),
    ],
)
def test_alerts_are_on_where_somebody_may_be_told(environment: dict[str, str], may_alert: bool) -> None:
    """A vault is not asked when Dagster loads the definitions; it may hold who is to be told."""
    assert timing_settings(environment, env_file=None).may_alert == may_alert


# --- several together ---


def test_observed_rows_may_not_be_believed_longer_than_a_plan() -> None:
    with pytest.raises(SettingsError, match=r"OBSERVED_MAX_AGE_MINUTES: is more than PLAN_MAX_AGE_MINUTES \(10\)"):
        load_settings({"PLAN_MAX_AGE_MINUTES": "10"}, env_file=None)


def test_all_problems_are_told_at_once_types_contradictions_and_business_rules(tmp_path: Path) -> None:
    rules = tmp_path / "sync.yaml"
    rules.write_text("jobs: {timezone: Nowhere}\ncompanies: []\n")

    found = problems(
        {
            "SMTP_PORT": "mail",
            "SAFETYAMP_BASE_URL": "http://api.safetyamp.com",
            "SMTP_USERNAME": "me",
            "ALERT_EMAIL_TO": "a@example.com",
            "SYNC_CONFIG": str(rules),
        }
    )

    assert set(found) == {
        "SMTP_PORT",
        "SAFETYAMP_BASE_URL",
        "SMTP_PASSWORD",
        "ALERT_EMAIL_FROM",
        "SMTP_SERVER",
        "SYNC_CONFIG",
    }


def test_a_wrong_value_is_not_told_a_second_time_as_missing() -> None:
    wrong = {"SMTP_SERVER": "smtp://mail", "ALERT_EMAIL_TO": "a@example.com", "ALERT_EMAIL_FROM": "s@example.com"}

    with pytest.raises(SettingsError) as caught:
        load(wrong)

    assert [problem.what for problem in caught.value.problems] == ["is not a bare host name"]


def test_each_mistake_in_sync_yaml_names_the_file_and_the_place(tmp_path: Path) -> None:
    rules = tmp_path / "ours.yaml"
    rules.write_text("jobs: {timezone: Nowhere}\ncompanies: []\n")

    with pytest.raises(SettingsError) as caught:
        load({"SYNC_CONFIG": str(rules)})

    whats = [problem.what for problem in caught.value.problems]
    assert [what.split(":")[:2] for what in whats] == [[str(rules), " companies"], [str(rules), " jobs.timezone"]]


def test_a_sync_yaml_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    assert "cannot be read" in problems({"SYNC_CONFIG": str(tmp_path)})["SYNC_CONFIG"].what


# --- what a system needs ---


def test_every_variable_missing_for_the_systems_asked_for_is_told() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"SAFETYAMP_FQDN": "company.safetyamp.com"}).require("safetyamp", "samsara", "entra", "viewpoint")

    assert [problem.variable for problem in caught.value.problems] == [
        "SAFETYAMP_TOKEN",
        "SAMSARA_API_KEY",
        "MS_GRAPH_TENANT_ID",
        "MS_GRAPH_CLIENT_ID",
        "MS_GRAPH_CLIENT_SECRET",
        "SQL_SERVER",
        "SQL_DATABASE",
        "SQL_USERNAME",
        "SQL_PASSWORD",
    ]
    assert isinstance(caught.value, Refusal)


def test_managed_identity_needs_no_login() -> None:
    settings = load({"SQL_SERVER": "vista", "SQL_DATABASE": "Viewpoint", "SQL_AUTH_MODE": "managed_identity"})

    settings.require("viewpoint")


def test_what_is_set_is_enough() -> None:
    settings = load(
        {"SAFETYAMP_FQDN": "company.safetyamp.com", "SAFETYAMP_TOKEN": "t", "VIEWPOINT_URL": "sqlite:////w.db"}
    )

    settings.require("safetyamp", "viewpoint")
    settings.require()


# --- Viewpoint ---


def test_the_parts_become_a_url_whatever_the_password_holds() -> None:
    url = load(
        {
            "SQL_SERVER": "vista.example.com,1444",
            "SQL_DATABASE": "Viewpoint",
            "SQL_USERNAME": "r",
            "SQL_PASSWORD": "p;@/%",
        }
    ).viewpoint_url()

    assert (url.drivername, url.host, url.port, url.database) == (
        "mssql+pyodbc",
        "vista.example.com",
        1444,
        "Viewpoint",
    )
    assert (url.username, url.password) == ("r", "p;@/%")
    assert url.query == {"driver": "ODBC Driver 18 for SQL Server"}


def test_with_managed_identity_the_url_carries_no_login() -> None:
    url = load(
        {
            "SQL_SERVER": r"vista\main",
            "SQL_DATABASE": "Viewpoint",
            "SQL_AUTH_MODE": "managed_identity",
            "SQL_USERNAME": "r",
            "SQL_PASSWORD": "p",
        }
    ).viewpoint_url()

    assert (url.username, url.password, url.host, url.port) == (None, None, r"vista\main", None)


@pytest.mark.parametrize(
    "given", ["sqlite:////world.db", "mssql+pyodbc://h/d?driver=FreeTDS", "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx"]
)
def test_a_whole_url_is_taken_as_it_is(given: str) -> None:
    url = load({"VIEWPOINT_URL": given, "SQL_SERVER": "ignored"}).viewpoint_url()

    assert url.render_as_string(hide_password=False) == given


def test_a_url_without_driver_gets_the_configured_one() -> None:
    url = load({"VIEWPOINT_URL": "mssql+pyodbc://h/d?Encrypt=yes", "SQL_DRIVER": "FreeTDS"}).viewpoint_url()

    assert url.query == {"Encrypt": "yes", "driver": "FreeTDS"}


def test_without_any_address_the_missing_variables_are_told() -> None:
    with pytest.raises(SettingsError, match="SQL_SERVER"):
        load().viewpoint_url()


# --- business rules ---


def test_the_packaged_business_rules_are_used_without_a_file() -> None:
    assert load().sync_config() == SyncConfig()


def test_the_business_rules_are_read_once(tmp_path: Path) -> None:
    rules = tmp_path / "sync.yaml"
    rules.write_text("companies: [1, 2]")
    settings = load({"SYNC_CONFIG": str(rules)})

    rules.unlink()

    assert settings.sync_config().companies == (1, 2)
    assert settings.sync_config() is settings.sync_config()


# --- secrets ---


def test_secrets_show_in_no_text_of_the_settings() -> None:
    settings = load(SECRETS | {"SMTP_USERNAME": "me"})

    shown = repr(settings) + str(settings) + str(settings.masked()) + str(settings.model_dump())

    assert "s3cret" not in shown
    assert SECRETS["SNAPSHOT_ENCRYPTION_KEY"] not in shown


def test_secrets_show_in_no_error_and_nothing_it_drags_along() -> None:
    with pytest.raises(SettingsError) as caught:
        load(SECRETS | {"SAFETYAMP_TOKEN": "s3cret s3cret", "SMTP_PORT": "s3cret"})

    error: BaseException | None = caught.value
    while error is not None:
        assert "s3cret" not in str(error) + repr(error)
        error = error.__cause__ or error.__context__


def test_masked_settings_show_each_value_with_its_source(tmp_path: Path) -> None:
    file = env_file(tmp_path, "SAFETYAMP_FQDN=company.safetyamp.com\n")

    masked = load({**SECRETS, "SMTP_USERNAME": "me"}, file).masked()

    assert masked["SAFETYAMP_TOKEN"] == "set, not shown [environment]"
    assert masked["SAFETYAMP_FQDN"] == "company.safetyamp.com [.env]"
    assert masked["SAFETYAMP_PAGE_SIZE"] == "100 [default]"
    assert masked["SMTP_SERVER"] == "not set [default]"
    assert masked["VIEWPOINT_URL"] == "mssql+pyodbc://vista/db [environment]"
    assert masked["LEDGER_URL"] == "postgresql+psycopg2://db/ledger [environment]"


def test_settings_cannot_be_changed_after_they_were_checked() -> None:
    with pytest.raises(ValidationError):
        load().safetyamp_page_size = 5


# --- what ships ---


def test_the_example_file_names_every_variable_and_loads_as_the_defaults() -> None:
    example = Path(__file__).parents[2] / ".env.example"
    named = {line.split("=")[0] for line in example.read_text(encoding="utf-8").splitlines() if line[:1].isalpha()}

    assert named == {variable_of(name) for name in Settings.model_fields}
    assert load({}, example).model_dump() == load().model_dump()


def test_without_a_vault_none_of_azures_libraries_is_loaded() -> None:
    program = (
        "import sys; from safetyamp_pipelines.settings.loading import load_settings; load_settings({}, env_file=None); "
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('azure', 'msal', 'requests')))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("variable", ["VIEWPOINT_URL", "LEDGER_URL"])
@pytest.mark.parametrize("password", ["p@zqx/w0rd", "p@zqx", "1@zqx/3"])
def test_a_password_that_is_not_encoded_is_refused_and_no_part_of_it_shown(variable: str, password: str) -> None:
    scheme = "mssql+pyodbc" if variable == "VIEWPOINT_URL" else "postgresql"

    with pytest.raises(SettingsError, match=f"{variable}: .*%40") as caught:
        load({variable: f"{scheme}://reader:{password}@sql01/Viewpoint"})

    assert not any(part in str(caught.value) for part in ("zqx", "w0rd", "sql01"))


@pytest.mark.parametrize("url", ["s3://key:s3cret@bucket/folder", "memory://c/f?sig=s3cret"])
def test_a_store_with_a_login_in_its_url_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="SNAPSHOT_URL: holds a login") as caught:
        load({"SNAPSHOT_URL": url})

    assert "s3cret" not in str(caught.value)


def test_the_embedded_world_takes_nothing_from_a_file_or_the_environment_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("HEARTBEAT_URL=https://real.example.com/beat\nLOG_LEVEL=ERROR\n")
    for name in ("ALERT_WEBHOOK_URL", "DAGSTER_POSTGRES_URL", "AZURE_CLIENT_SECRET"):
        monkeypatch.setenv(name, "https://real.example.com")

    environment = child_environment({"SAFETYAMP_TOKEN": "toy"})
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    for name in ("ALERT_WEBHOOK_URL", "DAGSTER_POSTGRES_URL", "AZURE_CLIENT_SECRET"):
        assert name not in environment
        monkeypatch.delenv(name)
    toy = load_settings()

    assert (toy.heartbeat_url, toy.log_level) == (None, "INFO")
    assert toy.safetyamp_token is not None
