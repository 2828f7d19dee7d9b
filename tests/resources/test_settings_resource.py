"""The settings resource: read once a run, however many resources nest it, and nothing of it shows."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from safetyamp_pipelines.operations.processes import this_process
from safetyamp_pipelines.resources.keys import FIGURES_TAG, PROCESS_TAG, RESTED_TAG, SESSIONS_TAG, SYNC_TAG
from safetyamp_pipelines.resources.systems import Samsara, SettingsResource
from safetyamp_pipelines.settings.model import Settings, SettingsError

ENVIRON = {"SAFETYAMP_FQDN": "acme.safetyamp.com", "SAFETYAMP_TOKEN": "secret-token-value"}


class Nesting(dg.ConfigurableResource[Settings]):
    """A resource like those of the project."""

    settings: SettingsResource


def test_resources_that_nest_it_get_the_same_settings_within_a_run() -> None:
    seen: list[Settings] = []

    @dg.asset
    def reads(one: Nesting, other: Nesting) -> None:
        seen.extend((one.settings.get(), other.settings.get()))

    settings = SettingsResource.of(ENVIRON)
    resources = {"one": Nesting(settings=settings), "other": Nesting(settings=settings), "settings": settings}
    assert dg.materialize([reads], resources=resources).success

    assert seen[0] is seen[1] is settings.get()
    assert seen[0].safetyamp_fqdn == "acme.safetyamp.com"


def test_every_run_names_its_process_and_is_rid_of_what_the_run_it_repeats_did() -> None:
    """Also one that only reads a source, for minutes perhaps: without the tag it counts as one that never began."""

    @dg.asset
    def reads(one: Nesting, other: Nesting) -> None:
        one.settings.get()

    settings = SettingsResource.of(ENVIRON)
    resources = {"one": Nesting(settings=settings), "other": Nesting(settings=settings)}
    copied = {RESTED_TAG: "paused by Kim", SESSIONS_TAG: "titles 11", FIGURES_TAG: "done: 3", SYNC_TAG: "push"}
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = dg.materialize([reads], resources=resources, instance=instance, tags=copied).run_id
        run = instance.get_run_by_id(run_id)

    assert run is not None
    assert (run.tags[PROCESS_TAG], run.tags[SYNC_TAG]) == (this_process(), "push")
    assert not any(run.tags[name] for name in (RESTED_TAG, SESSIONS_TAG, FIGURES_TAG))


def test_a_process_that_lives_on_sees_changed_rules_and_secrets_with_its_next_run_and_tick_and_never_within_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules, secrets = tmp_path / "sync.yaml", tmp_path / "secrets.env"
    monkeypatch.setenv("SYNC_CONFIG", str(rules))
    monkeypatch.setenv("SAFETYAMP_ENV_FILE", str(secrets))
    monkeypatch.delenv("SAFETYAMP_TOKEN", raising=False)
    seen: list[tuple[int, str]] = []

    def write(number: int) -> None:
        freeze = '  freezes: [{starts: "01:00", ends: "02:00", reason: backup}]\n' * (number > 1)
        rules.write_text(f"schedule:\n  quarantine_after: {number}\n{freeze}", encoding="utf-8")
        secrets.write_text(f"SAFETYAMP_TOKEN=token-{number}\n", encoding="utf-8")

    def look(settings: Settings) -> None:
        token = settings.safetyamp_token
        seen.append((len(settings.sync_config().schedule.freezes), token.get_secret_value() if token else ""))

    @dg.asset
    def reads(one: Nesting, other: Nesting) -> None:
        look(one.settings.get())
        write(2)
        look(other.settings.get())

    @dg.sensor(target=[reads])
    def ticks(one: Nesting) -> dg.SkipReason:
        look(one.settings.get())
        return dg.SkipReason("only looks")

    settings = SettingsResource.of()
    resources = {"one": Nesting(settings=settings), "other": Nesting(settings=settings)}
    write(1)
    assert dg.materialize([reads], resources=resources).success
    for number in (2, 3):
        write(number)
        with dg.build_sensor_context(resources={"one": resources["one"]}) as context:
            ticks(context)
    before = settings.get()
    rules.write_text("nonsense", encoding="utf-8")

    assert seen == [(0, "token-1"), (0, "token-1"), (1, "token-2"), (1, "token-3")]
    assert before.sync_config_now() == before.sync_config(), "a file that is wrong changes nothing"
    rules.write_text("schedule: {quarantine_after: 9}", encoding="utf-8")
    assert (before.sync_config_now().schedule.quarantine_after, before.sync_config().schedule.quarantine_after) == (
        9,
        3,
    )


def test_two_of_them_do_not_mix() -> None:
    other = SettingsResource.of({"SAFETYAMP_FQDN": "other.safetyamp.com"})

    assert SettingsResource.of(ENVIRON).get().safetyamp_fqdn == "acme.safetyamp.com"
    assert other.get().safetyamp_fqdn == "other.safetyamp.com"


def test_without_variables_of_its_own_it_reads_the_process_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for resource in (SettingsResource(), SettingsResource.of()):
        monkeypatch.setenv("SAFETYAMP_FQDN", "process.safetyamp.com")
        assert resource.get().safetyamp_fqdn == "process.safetyamp.com"


def test_making_it_reads_nothing_and_a_problem_comes_when_it_is_asked() -> None:
    resource = SettingsResource.of({"API_RATE_LIMIT_CALLS": "many"})

    with pytest.raises(SettingsError, match="API_RATE_LIMIT_CALLS"):
        resource.get()


def test_neither_its_config_nor_its_text_holds_a_secret() -> None:
    resource = Samsara(settings=SettingsResource.of(ENVIRON | {"SAMSARA_API_KEY": "secret-key-value"}))
    schema = resource.settings.get_resource_definition().config_schema

    assert "secret" not in repr(resource) + repr(schema.as_field().default_value)
    assert dict(resource.settings) == {}
