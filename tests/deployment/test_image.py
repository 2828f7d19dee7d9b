"""What image, compose files and workflows refer to is there, and they are as hardened as the chart."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = ROOT / "compose.yaml"
SANDBOX = ROOT / "compose.sandbox.yaml"


def _instructions() -> list[tuple[str, str]]:
    lines = [line for line in DOCKERFILE.splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n", " ", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line.strip())]


def test_every_file_that_is_copied_exists_and_is_not_ignored() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()

    copied = [shlex.split(rest)[:-1] for word, rest in _instructions() if word == "COPY" and "--from" not in rest]
    sources = {source for sources in copied for source in sources}
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignore, source


def test_neither_tests_nor_the_embedded_world_get_into_the_image() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()

    assert ignore[1] == "*"
    assert "safetyamp_pipelines/sandbox" in ignore
    assert not [line for line in ignore if line.startswith("!tests")]


def test_image_needs_nothing_of_newer_builders() -> None:
    assert not re.search(r"<<|COPY --link|RUN --mount|^# syntax", DOCKERFILE, re.MULTILINE)


def test_image_installs_by_hash_and_runs_without_privileges() -> None:
    steps = _instructions()

    assert any(
        "--require-hashes" in rest and "requirements-image.lock" in rest for word, rest in steps if word == "RUN"
    )
    commands = [command for word, rest in steps if word == "RUN" for command in rest.split("&&")]
    installs = [command for command in commands if re.search(r"bin/pip .*\b(install|wheel)\b", command)]
    assert len(installs) == 4
    for install in installs:  # the wheel of this project is built with the setuptools of the lock file
        assert re.search("--require-hashes|--no-index|--no-build-isolation", install), install
    assert [rest for word, rest in steps if word == "USER"] == ["10001:10001"]
    assert any(word == "HEALTHCHECK" for word, _ in steps)
    assert len(re.findall(r"^FROM ", DOCKERFILE, re.MULTILINE)) == 2
    lock = (ROOT / "requirements-image.lock").read_text(encoding="utf-8")
    pinned = re.findall(r"^[A-Za-z0-9_.\[\],-]+==", lock, re.MULTILINE)
    assert {"adlfs==", "dagster-k8s==", "dagster-postgres=="} <= set(pinned)
    assert lock.count("--hash=sha256:") >= len(pinned)


def test_image_has_the_versions_that_the_tests_ran_with() -> None:
    def versions(name: str) -> dict[str, str]:
        text = (ROOT / name).read_text(encoding="utf-8")
        return dict(re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([^ ;\\]+)", text, re.MULTILINE))

    tested, shipped = versions("requirements-dev.lock"), versions("requirements-image.lock")
    assert {name: version for name, version in shipped.items() if tested.get(name) != version} == {}


def _services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return found


def test_compose_runs_every_part_from_the_one_image() -> None:
    services = _services()

    assert set(services) == {"postgresql", "code", "webserver", "daemon", "desk"}
    for name in set(services) - {"postgresql"}:
        service = services[name]
        assert service["image"].startswith("safetyamp-pipelines:"), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "DAGSTER_POSTGRES_URL" in service["environment"], name


@pytest.mark.parametrize("name", ["postgresql", "webserver"])
def test_compose_publishes_on_loopback_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in _services()[name]["ports"])


def test_the_embedded_world_shares_the_network_of_the_code_location() -> None:
    added = yaml.safe_load(SANDBOX.read_text(encoding="utf-8"))["services"]

    assert added["code"]["network_mode"] == "service:sandbox"
    assert added["sandbox"]["networks"]["default"]["aliases"] == ["code"]
    assert "/world/environment" in " ".join(added["code"]["command"])


def test_versions_of_image_and_project_agree() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert version is not None

    named = set(re.findall(r"safetyamp-pipelines:([\d.]+)", COMPOSE.read_text(encoding="utf-8")))
    named |= set(re.findall(r"safetyamp-pipelines:([\d.]+)", SANDBOX.read_text(encoding="utf-8")))
    assert named == {version[1]}


def test_workflows_call_what_the_makefile_has() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    for path in (ROOT / ".github/workflows/ci.yaml", ROOT / "azure-pipelines.yml"):
        text = path.read_text(encoding="utf-8")
        assert yaml.safe_load(text), path
        called = {word for line in re.findall(r"\bmake ([^\n|&]+)", text) for word in line.split() if "=" not in word}
        assert {word for word in called if not word.startswith(".")} <= targets, path
        assert "compare --rules" in text, path


def test_scripts_are_what_a_shell_understands() -> None:
    for script in (ROOT / "docker").glob("*.sh"):
        assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


def test_queries_ask_for_events_that_are_logged() -> None:
    queries = "".join(re.findall(r"```kusto(.*?)```", (ROOT / "docs/logs.md").read_text(encoding="utf-8"), re.DOTALL))
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "safetyamp_pipelines").rglob("*.py"))

    asked = set(re.findall(r'event == "(\w+)"', queries))
    asked |= {name for names in re.findall(r"event in \(([^)]*)\)", queries) for name in re.findall(r'"(\w+)"', names)}
    logged = set(re.findall(r'\w\(\s*"(\w+)",?\s', code))
    assert len(asked) > 8
    assert asked <= logged
