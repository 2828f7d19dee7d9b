"""The commands `safetyamp jira …`. What they do is in `jira/`; none of them needs Dagster."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from safetyamp_pipelines.cli.shell import (
    FAILED,
    LARGEST,
    REFUSED,
    AsJson,
    By,
    Reason,
    command_group,
    print_json,
    read_file,
    require_consent,
    require_text,
    respond,
    with_settings,
)
from safetyamp_pipelines.jira.book import JiraBook, open_book
from safetyamp_pipelines.jira.discovery import find_fields, preview, suggest_fields
from safetyamp_pipelines.jira.field_mapping import imported_mapping, mapping_schema, problems_with, read_mapping
from safetyamp_pipelines.jira.forward import window_of
from safetyamp_pipelines.jira.partitions import JiraSession, Outcome
from safetyamp_pipelines.jira.questions import history_of, issue_of, render_status, statistics_of, status_of
from safetyamp_pipelines.jira.redaction import forget_in_jira
from safetyamp_pipelines.jira.values import ColumnType
from safetyamp_pipelines.operations.decisions import Decider
from safetyamp_pipelines.operations.forget.forgetting import STILL_IN_FILE
from safetyamp_pipelines.operations.local_time import local_time
from safetyamp_pipelines.operations.plain import plain
from safetyamp_pipelines.settings.loading import login_name
from safetyamp_pipelines.sync.model.errors import Refusal, SyncError
from safetyamp_pipelines.sync.model.text import displayed

jira = command_group("Read Jira issues into a table, through a mapping of fields to columns.")
mapping = command_group("Show, check, save or restore the mapping of fields to columns.")
jira.add_typer(mapping, name="mapping")

Partitions = Annotated[list[str] | None, typer.Argument(help="Some of `instance|PROJECT`; all without any.")]
OneInstance = Annotated[str | None, typer.Option("--instance", help="Only this instance.")]
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A mapping as YAML or JSON.")]
Number = Annotated[int, typer.Argument(min=1, max=LARGEST)]
Why = Annotated[str, typer.Option("--reason", help="Why; others read it.")]


@contextmanager
def _session(as_json: bool) -> Iterator[JiraSession]:
    with with_settings(as_json) as settings, JiraSession(settings, run_id=str(uuid.uuid4())) as session:
        yield session


@contextmanager
def _book(as_json: bool) -> Iterator[JiraBook]:
    with _book_and_clock(as_json) as (book, _):
        yield book


@contextmanager
def _book_and_clock(as_json: bool) -> Iterator[tuple[JiraBook, Callable[[str | None], str]]]:
    """The open Jira database, and how its times are shown to people."""
    with with_settings(as_json) as settings, closing(open_book(settings)) as book:
        yield book, partial(local_time, timezone=settings.sync_config().schedule.timezone)


@jira.command()
def sync(
    partitions: Partitions = None,
    whole: Annotated[bool, typer.Option("--whole", help="Read every issue again.")] = False,
    since: Annotated[str, typer.Option(help="A window instead: updated from this time (ISO) on …")] = "",
    until: Annotated[str, typer.Option(help="… and before this one. No watermark moves.")] = "",
    as_json: AsJson = False,
) -> None:
    """Read what changed: issues, then their history. Exit code 1 when a partition failed."""
    with _session(as_json) as session:
        window = window_of(since, until) if since or until else None
        keys, found = _chosen(session, partitions)
        issues = session.read("issues", keys, **({"window": window} if window else {"whole": whole}))
        good = [key for key, outcome in issues.items() if isinstance(outcome, dict)]
        history = session.read("history", good)
    _finish({**found, **issues}, as_json, history={key: one for key, one in history.items() if isinstance(one, dict)})


@jira.command()
def presence(
    partitions: Partitions = None,
    approve: Annotated[str, typer.Option(help="The hash of held issues: approve them, and mark them at once.")] = "",
    reason: Why = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Check which issues still exist in Jira; mark those that are gone, and hold them when there are many at once."""
    with _session(as_json) as session:
        keys, found = _chosen(session, partitions)
        if approve:
            require_text(reason=reason)
            decider = Decider(by or login_name(), login_name(), reason)
            if (given := session.book.approve_gone(session.ledger, approve, decider)) is None:
                raise Refusal("give the hash that `safetyamp jira status` shows (8 characters at least)")
            keys = [given["partition"]]
        outcomes = session.read("presence", keys)
    _finish({**found, **outcomes}, as_json)


@jira.command()
def fields(
    term: Annotated[str, typer.Argument(help="Part of a name or id; without one the catalogue is read again.")] = "",
    as_json: AsJson = False,
) -> None:
    """Find fields of every instance; without a term, read the catalogues again."""
    if not term:
        with _session(as_json) as session:
            outcomes = session.refresh_fields()
        _finish(outcomes, as_json)
    with _book(as_json) as book:
        found = [dict(one) for one in find_fields(book.catalogue(), term)]
    respond(as_json, {"fields": plain(found)}, map(_field_line, found) if found else ["no field has such a name"])


@jira.command()
def suggest(
    column: Annotated[str, typer.Argument(help="The name of a column.")],
    kind: Annotated[ColumnType, typer.Option("--type", help="Its type.")] = "text",
    as_json: AsJson = False,
) -> None:
    """Suggest fields of each instance whose names resemble the column's and whose types suit it."""
    with _book(as_json) as book:
        found = suggest_fields(book.catalogue(), column, kind)
    lines = [f"{one['score']:.2f} {_field_line(one)}" for fields in found.values() for one in fields]
    respond(
        as_json,
        {"suggestions": plain(found)},
        lines or ["no field has such a name: `safetyamp jira fields`"],
    )


@jira.command("preview")
def preview_command(
    file: File,
    keys: Annotated[list[str], typer.Argument(help="`instance|PROJECT` for its newest issues, or `instance|KEY-1`.")],
    limit: Annotated[int, typer.Option(min=1, max=10, help="Issues of each project.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Show what a mapping would make of live issues: before → after, what it refuses and adds. Writes nothing."""
    with _session(as_json) as session:
        found = preview(session, read_mapping(read_file(file)), keys, limit)
    respond(as_json, found, _preview_lines(found))


@jira.command()
def issue(key: Annotated[str, typer.Argument()], instance: OneInstance = None, as_json: AsJson = False) -> None:
    """Show one issue by its key, an old key or its id: its columns, where each came from, and its changes."""
    with _book_and_clock(as_json) as (book, local):
        found = issue_of(book, key, instance)
    lines = [f"{name} = {value}" for name, value in found.items() if name not in ("came_from", "changes")]
    lines += [f"  {name} from {about['from']}" for name, about in found["came_from"].items()]
    lines += [f"  {local(one['at'])} {one['field']}: {one['from_text']} → {one['to_text']}" for one in found["changes"]]
    respond(as_json, found, lines)


@jira.command()
def status(as_json: AsJson = False) -> None:
    """Show the pause, running reads with the time left, and every partition with its watermark or failure."""
    with _book_and_clock(as_json) as (book, local):
        found = status_of(book, datetime.now(UTC))
    respond(as_json, found, render_status(found, local))


@jira.command()
def history(
    limit: Annotated[int, typer.Option(min=1, max=LARGEST, help="How many reads.")] = 20, as_json: AsJson = False
) -> None:
    """List the last reads, newest first."""
    with _book_and_clock(as_json) as (book, local):
        found = history_of(book, limit)
    lines = [
        f"{local(one['started_at'])} {one['kind']} {one['instance']}|{one['project']}: {one['status']}, "
        f"{one['done']} issues{': ' + one['error'] if one['error'] else ''}"
        for one in found
    ]
    respond(as_json, {"reads": found}, lines or ["nothing was read yet"])


@jira.command()
def stats(as_json: AsJson = False) -> None:
    """Show what the reads found in 7 days, in 30 days and in all that is kept."""
    with _book(as_json) as book:
        found = statistics_of(book, datetime.now(UTC))
    respond(as_json, found, (f"{span}: {_figures(one)}" for span, one in found.items()))


@jira.command()
def pause(reason: Reason, by: By = None, as_json: AsJson = False) -> None:
    """Stop reads between two pages, and start none, until `resume`."""
    with _book_and_clock(as_json) as (book, local):
        lasting = plain(book.pause(by or login_name(), reason))
    since = local(lasting["at"])
    respond(as_json, {"paused": lasting}, [f"paused by {lasting['who']} since {since}: {lasting['why']}"])


@jira.command()
def resume(by: By = None, as_json: AsJson = False) -> None:
    """End the pause."""
    with _book(as_json) as book:
        ended = plain(book.resume(by or login_name()))
    respond(as_json, {"ended": ended}, ["resumed" if ended else "reading Jira was not paused"])


@jira.command()
def forget(
    who: Annotated[str, typer.Argument(help="A name, an address or an account id, as Jira shows it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation; this cannot be undone.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase a person from the stored issues and changes. Erase them in Jira first, or reads bring them back."""
    with _book(as_json) as book:
        if not yes:
            require_consent(f"Erase {who!r} from every issue and change, for good?")
        found, is_erased = forget_in_jira(book, who)
    lines = [f"{table}: {rows} rows" for table, rows in found.items()]
    respond(as_json, {**found, "is_erased": is_erased}, lines if is_erased else [*lines, STILL_IN_FILE])
    raise typer.Exit(0 if is_erased else FAILED)


@mapping.command("show")
def mapping_show(
    version: Annotated[int | None, typer.Option(help="An earlier version.")] = None, as_json: AsJson = False
) -> None:
    """Show the mapping in force, as YAML."""
    with _book(as_json) as book:
        active = book.active()
        document = (book.version(version) if version else active.mapping).document()
    version = version or active.version
    respond(
        as_json,
        {"version": version, **document},
        [f"# version {version}", *yaml.safe_dump(document, sort_keys=False).splitlines()],
    )


@mapping.command("schema")
def mapping_schema_command() -> None:
    """Print the JSON schema of a mapping."""
    print_json(mapping_schema())


@mapping.command("check")
def mapping_check(file: File, as_json: AsJson = False) -> None:
    """Check a mapping, by itself and against the catalogues. Exit code 2 when something is wrong."""
    with _book(as_json) as book:
        problems = problems_with(read_mapping(read_file(file)), book.catalogue())
    respond(as_json, {"problems": problems}, problems or ["no problems"])
    raise typer.Exit(REFUSED if problems else 0)


@mapping.command("save")
def mapping_save(file: File, reason: Reason, by: By = None, as_json: AsJson = False) -> None:
    """Save a mapping as the next version; the next read covers all issues and fills its new columns."""
    _saved(as_json, lambda book: book.save(read_mapping(read_file(file)), by or login_name(), reason))


@mapping.command("import")
def mapping_import(file: File, reason: Reason, by: By = None, as_json: AsJson = False) -> None:
    """Save the old dashboard's document (`field_mappings`, JSON) as the next version; prints what was left out."""

    def imported(book: JiraBook) -> Any:
        made, left = imported_mapping(read_file(file))
        for line in left:
            typer.echo(displayed(f"left out: {line}"), err=True)
        return book.save(made, by or login_name(), reason)

    _saved(as_json, imported)


@mapping.command("rollback")
def mapping_rollback(version: Number, reason: Reason, by: By = None, as_json: AsJson = False) -> None:
    """Save an earlier version as the next one."""
    _saved(as_json, lambda book: book.save(book.version(version), by or login_name(), reason))


@mapping.command("versions")
def mapping_versions(as_json: AsJson = False) -> None:
    """List every version, newest first: who, when, why, and what it changed."""
    shown = ("version", "at", "who", "why", "diff")
    with _book_and_clock(as_json) as (book, local):
        found = plain([{name: one[name] for name in shown} for one in book.versions()])
    lines = [
        f"{one['version']} {local(one['at'])} {one['who']}: {one['why']} ({_figures(one['diff'] or {})})"
        for one in found
    ]
    respond(as_json, {"versions": found}, lines)


@mapping.command("backup")
def mapping_backup(by: By = None, as_json: AsJson = False) -> None:
    """Keep the mapping in force as a backup; one is made before each change anyway."""
    with _book(as_json) as book:
        number = book.backup(by or login_name())
    respond(as_json, {"backup": number}, [f"backup {number}"])


@mapping.command("backups")
def mapping_backups(as_json: AsJson = False) -> None:
    """List every backup, newest first."""
    with _book_and_clock(as_json) as (book, local):
        found = plain([{**one, "data": one["data"].get("version")} for one in book.backups()])
    lines = [f"{one['id']} {local(one['at'])} {one['who']} {one['kind']}" for one in found]
    respond(as_json, {"backups": found}, lines)


@mapping.command("restore")
def mapping_restore(backup: Number, by: By = None, as_json: AsJson = False) -> None:
    """Save the mapping of a backup as the next version."""
    _saved(as_json, lambda book: book.restore(backup, by or login_name()))


def _saved(as_json: bool, save: Any) -> None:
    with _book(as_json) as book:
        active = save(book)
        diff = book.versions()[0]["diff"]
    respond(as_json, {"version": active.version, "diff": diff}, [f"version {active.version}: {_figures(diff or {})}"])


def _chosen(session: JiraSession, partitions: list[str] | None) -> tuple[list[str], dict[str, Outcome]]:
    """The partitions named, or all; and the instances that could not be asked, where they matter."""
    every, errors = session.refresh_partitions()
    if unknown := sorted(set(partitions or ()) - set(every)):
        raise Refusal(f"no such partition: {', '.join(unknown)}. There are {', '.join(every) or 'none'}")
    return partitions or every, {} if partitions else dict(errors)


def _finish(outcomes: Mapping[str, Outcome], as_json: bool, **more: Any) -> None:
    failed = {key: str(one) for key, one in outcomes.items() if isinstance(one, SyncError)}
    read = {key: plain(one) for key, one in outcomes.items() if isinstance(one, dict)}
    exit_code = FAILED if failed and read else REFUSED if failed else 0
    errors = [{"error": text, "partition": key} for key, text in failed.items()]
    lines = [f"{key}: {_figures(one)}" for key, one in read.items()]
    lines += [f"{key} FAILED: {line}" for key, text in failed.items() for line in text.splitlines()]
    respond(as_json, {"partitions": read, **more, "errors": errors, "exit_code": exit_code}, lines)
    raise typer.Exit(exit_code)


def _figures(figures: Mapping[str, Any]) -> str:
    hidden = ("instance", "project")
    shown = [f"{name} {value}" for name, value in figures.items() if name not in hidden and value not in (None, {})]
    return ", ".join(shown) or "nothing"


def _field_line(field: Mapping[str, Any]) -> str:
    return f"{field['instance']} {field['field_id']} ({field['type']}): {field['name']}"


def _preview_lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"adds the column {name}" for name in found["adds"])
    yield from (f"WRONG: {problem}" for problem in found["problems"])
    for one in found["issues"]:
        yield f"{one['instance']} {one['key']}"
        for name, value in one["columns"].items():
            reason = f"  ({one['untyped'][name]})" if name in one["untyped"] else ""
            yield f"  {name}: {value['before']} → {value['after']}{reason}"
