"""Logs: one line an event, the same for console and Dagster, with no secret and no person in it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any, Literal

import dagster as dg
import pytest

from safetyamp_pipelines.settings.logs import configure_logging, get_logger, log_context, redacted
from safetyamp_pipelines.sync.entities.registry import ENTITIES

log = get_logger("safetyamp_pipelines.some.module")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Logging belongs to the process; leave it as it was for the next test."""
    root, ours = logging.getLogger(), logging.getLogger("safetyamp_pipelines")
    handlers, level = list(root.handlers), ours.level
    yield
    root.handlers = handlers
    ours.setLevel(level)


@pytest.fixture
def console() -> io.StringIO:
    return io.StringIO()


def parsed(console: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in console.getvalue().splitlines()]


# --- shape ---


def test_a_text_line_has_time_level_event_and_fields(console: io.StringIO) -> None:
    configure_logging("text", "INFO", console)

    log.info("read whole", table="entra/users", rows=1800, reason="two words", nothing=None)

    time, level, line = console.getvalue().rstrip("\n").split(maxsplit=2)
    assert time.endswith("Z")
    assert level == "INFO"
    assert line == 'read whole table=entra/users rows=1800 reason="two words" nothing=null'


def test_a_json_line_is_one_document_with_the_same_fields(console: io.StringIO) -> None:
    configure_logging("json", "INFO", console)

    log.warning("refused", entity="sites", tables=["a", "b"], share=0.5)

    (line,) = parsed(console)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "WARNING",
        "logger": "safetyamp_pipelines.some.module",
        "event": "refused",
        "entity": "sites",
        "tables": ["a", "b"],
        "share": 0.5,
    }


def test_run_entity_and_session_are_on_every_line_inside_their_context(console: io.StringIO) -> None:
    configure_logging("json", "INFO", console)

    with log_context(run_id="run-1", entity="employees"), log_context(session=7):
        log.info("inside")
    log.info("outside")

    inside, outside = parsed(console)
    assert (inside["run_id"], inside["entity"], inside["session"]) == ("run-1", "employees", 7)
    assert "run_id" not in outside


def test_lines_below_the_level_are_left_out(console: io.StringIO) -> None:
    configure_logging("text", "WARNING", console)

    log.info("quiet")
    log.debug("quieter")

    assert console.getvalue() == ""


def test_a_value_cannot_forge_a_second_line(console: io.StringIO) -> None:
    configure_logging("text", "INFO", console)

    log.info("read\nERROR forged", file="a\n2026-01-01 ERROR forged")

    assert console.getvalue().count("\n") == 1


@pytest.mark.parametrize("format", ["text", "json"])
def test_a_value_cannot_steer_the_terminal(format: Literal["text", "json"], console: io.StringIO) -> None:
    configure_logging(format, "INFO", console)

    log.info("read", reason="a\x1b[2Jb\x9b31mc\u202ed\u200be\ud83df")
    logging.getLogger("library").warning("of a library: \x1b[2J")
    try:
        raise ValueError("\x1b[2J")
    except ValueError:
        log.exception("failed")

    written = console.getvalue().replace("\n", "")
    assert written.isprintable()
    assert all(letter in written for letter in "abcdef")


def test_a_percent_sign_is_no_format(console: io.StringIO) -> None:
    configure_logging("text", "INFO", console)

    log.info("100%s done", share="5%d")

    assert "100%s done share=5%d" in console.getvalue()


def test_an_exception_is_told_once_with_its_trace(console: io.StringIO) -> None:
    configure_logging("json", "INFO", console)

    try:
        raise ValueError("postgresql://me:s3cret@db refused nora.test@example.com")
    except ValueError:
        log.exception("not opened")

    (line,) = parsed(console)
    assert "ValueError" in line["exception"]
    assert "s3cret" not in line["exception"]
    assert "nora" not in line["exception"]


def test_configuring_again_replaces_and_does_not_double(console: io.StringIO) -> None:
    configure_logging("json", "INFO", io.StringIO())
    configure_logging("text", "INFO", console)

    log.info("once")

    assert console.getvalue().count("once") == 1


def test_standard_output_is_left_to_what_a_command_reports(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("text", "INFO")

    log.info("to standard error")

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "to standard error" in captured.err


def test_libraries_are_heard_from_warnings_on_and_are_cleaned_too(console: io.StringIO) -> None:
    configure_logging("json", "DEBUG", console)

    logging.getLogger("urllib3").info("GET /v1.0/users?$filter=mail")
    logging.getLogger("urllib3").warning("retrying %s", "https://me:s3cret@host/")

    (line,) = parsed(console)
    assert line["event"] == "retrying https://[hidden]@host/"
    assert line["logger"] == "urllib3"


def test_a_librarys_exception_keeps_its_trace(console: io.StringIO) -> None:
    configure_logging("text", "INFO", console)

    try:
        raise OSError("disk full")
    except OSError:
        logging.getLogger("fsspec").exception("upload failed")

    assert "upload failed" in console.getvalue()
    assert "OSError: disk full" in console.getvalue()


# --- redaction ---


@pytest.mark.parametrize(
    "key",
    [
        "token",
        "SAFETYAMP_TOKEN",
        "clientSecret",
        "MS-GRAPH-CLIENT-SECRET",
        "api_key",
        "Authorization",
        "sql_password",
        "connection_string",
        "first_name",
        "LastName",
        "email",
        "mobile_phone",
        "businessPhones",
        "CellPhone",
        "date_of_birth",
        "BirthDate",
        "street2",
        "zip_code",
        "udEmpTitle",
        "username",
        "payload",
        "before",
        "record",
        "rows",
    ],
)
def test_secrets_persons_and_records_are_hidden_by_the_name_of_their_key(key: str) -> None:
    assert redacted(key, "s3cret") == "[hidden]"
    assert redacted("details", {"inner": [{key: {"deep": "s3cret"}}]}) == {"inner": [{key: "[hidden]"}]}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("source_key", "100482"),
        ("entity", "employees"),
        ("rows", 1800),
        ("answer", 200),
        ("email", None),
        ("expand_manager", True),
        ("endpoint", "/api/users/{id}"),
        ("table", "viewpoint/employees"),
        ("sites", 3),
        ("plan_hash", "9f86d081884c7d65"),
        ("when", "2026-11-20T10:00:00Z"),
    ],
)
def test_what_an_operator_needs_stays(key: str, value: Any) -> None:
    assert redacted(key, value) == value


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Authorization: Bearer abc.DEF-123=", "Authorization: Bearer [hidden]"),
        ("mssql+pyodbc://reader:p%40ss@vista/db", "mssql+pyodbc://[hidden]@vista/db"),
        ("duplicate nora.o'test+x@mail.example.com here", "duplicate [hidden] here"),
        ("number +15045550123 is taken", "number [hidden] is taken"),
        ("POST grant_type=x&client_secret=S~3.cret&scope=y", "POST grant_type=x&client_secret=[hidden]&scope=y"),
        ("UID=reader;PWD=s3cret;Encrypt=yes", "UID=reader;PWD=[hidden];Encrypt=yes"),
        ("?sv=2024&sig=ab%2Fc&se=1", "?sv=2024&sig=[hidden]&se=1"),
        (
            "{'client_secret': 's3cret', \"password\":\"s3\"}",
            "{'client_secret': '[hidden]', \"password\":\"[hidden]\"}",
        ),
        ("SQL_PASSWORD: is not set", "SQL_PASSWORD: is not set"),
        ("GET /api/users/{id} answered 422", "GET /api/users/{id} answered 422"),
        ("https://api.safetyamp.com/api/sites", "https://api.safetyamp.com/api/sites"),
    ],
)
def test_logins_addresses_and_numbers_inside_text_are_hidden(text: str, clean: str) -> None:
    assert redacted("detail", text) == clean
    assert redacted("details", (text,)) == [clean]


def test_what_is_hidden_is_what_entities_declare_to_be_personal() -> None:
    declared = [field for spec in ENTITIES for field in spec.fields]

    assert {field.name for field in declared if field.personal and redacted(field.name, "x") == "x"} == set()
    shared = {"name", "serial"}  # of vehicles, which may be named after their drivers, and of what is not personal
    shown = {field.name for field in declared if not field.personal and field.name not in shared}
    assert {name for name in shown if redacted(name, "x") != "x"} <= {
        field.name for field in declared if field.personal
    }


def test_a_set_is_shown_in_one_order() -> None:
    assert redacted("keys", {"b", "a", "c"}) == ["a", "b", "c"]


# --- Dagster ---


@pytest.mark.parametrize(("level", "shown"), [("INFO", 1), ("WARNING", 0)])
def test_inside_a_dagster_run_the_same_line_is_in_its_event_log(console: io.StringIO, level: str, shown: int) -> None:
    configure_logging("text", level, console)

    @dg.op
    def push() -> None:
        with log_context(entity="employees"):
            get_logger("safetyamp_pipelines.push").info("answered", source_key="100482", email="nora.test@example.com")

    @dg.job
    def one_push() -> None:
        push()

    managed = {"python_logs": {"managed_python_loggers": ["safetyamp_pipelines"], "python_log_level": "INFO"}}
    with dg.DagsterInstance.ephemeral(settings=managed) as instance:
        run = one_push.execute_in_process(instance=instance)
        messages = [entry.user_message for entry in instance.all_logs(run.run_id)]

    line = "answered source_key=100482 email=[hidden] entity=employees"
    assert line in messages
    assert [told.split(maxsplit=2)[2] for told in console.getvalue().splitlines()] == [line] * shown
