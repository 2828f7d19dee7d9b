"""Key Vault as a layer of the settings, against a local server that speaks its protocol over TLS."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.keyvault.secrets import SecretClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from safetyamp_pipelines.resources.systems import SettingsResource
from safetyamp_pipelines.sandbox.server import AppServer, LocalAuthority
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.settings.model import Settings, SettingsError
from safetyamp_pipelines.settings.vault import ClientFactory, VaultError, VaultReader, azure_client

TOKEN = "vault-access-token"
CHALLENGE = 'Bearer authorization="https://login.microsoftonline.com/tenant", resource="https://vault.azure.net"'


class FakeCredential:
    """A process identity that needs no network; `fails` when signing in does."""

    def __init__(self, fails: bool = False) -> None:
        self._fails = fails

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        if self._fails:
            raise ClientAuthenticationError(message="no identity")
        assert scopes == ("https://vault.azure.net/.default",)
        return AccessToken(TOKEN, int(time.time()) + 3600)


@dataclass
class FakeVault:
    """Key Vault's GET of one secret: challenge, bearer token, names in any case, any answer for what is `refused`."""

    secrets: dict[str, str] = field(default_factory=dict)
    refused: dict[str, Response] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""
    ca: str = ""

    async def get(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"error": {"code": "Unauthorized"}}, 401, {"WWW-Authenticate": CHALLENGE})
        name = request.path_params["name"]
        self.asked.append(name)
        if name in self.refused:
            return self.refused[name]
        value = {known.lower(): value for known, value in self.secrets.items()}.get(name.lower())
        if value is None:
            return JSONResponse({"error": {"code": "SecretNotFound", "message": "not found"}}, 404)
        where = f"{self.url}/secrets/{name}/0123456789abcdef0123456789abcdef"
        return JSONResponse({"value": value, "id": where, "attributes": {"enabled": True}})

    def client(self, credential: FakeCredential | None = None) -> ClientFactory:
        """What the real factory makes, but trusting this server and signing in without a network."""
        return lambda url: SecretClient(
            url,
            credential or FakeCredential(),
            verify_challenge_resource=False,
            connection_verify=self.ca,
            retry_total=0,
        )


class Nesting(dg.ConfigurableResource[Settings]):
    """A resource like those of the project."""

    settings: SettingsResource


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[FakeVault]:
    fake, authority = FakeVault(ca=str(tmp_path / "ca.pem")), LocalAuthority()
    Path(fake.ca).write_bytes(authority.bundle())
    app = Starlette(routes=[Route("/secrets/{name}/{version:path}", fake.get)])
    server = AppServer(app, authority.server_context()).start()
    fake.url = server.url
    yield fake
    server.stop()


@pytest.fixture
def silent_address() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"https://localhost:{listener.getsockname()[1]}"


@pytest.fixture
def closed_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return f"https://localhost:{port}"


def load(vault: FakeVault, env_file: Path | None = None, **environ: str) -> Settings:
    return load_settings({"AZURE_KEY_VAULT_URL": vault.url, **environ}, env_file, vault.client())


def secret(settings: Settings, name: str) -> str | None:
    value = getattr(settings, name)
    return None if value is None else str(value.get_secret_value())


def test_secrets_come_from_the_vault_under_their_names_with_dashes(vault: FakeVault) -> None:
    vault.secrets = {
        "SAFETYAMP-TOKEN": "safetyamp",
        "SAMSARA-API-KEY": "samsara",
        "MS-GRAPH-TENANT-ID": "tenant",
        "MS-GRAPH-CLIENT-ID": "client",
        "ms-graph-client-secret": "graph",
        "SQL-SERVER": "vista",
        "SQL-DATABASE": "Viewpoint",
        "SQL-USERNAME": "reader",
        "SQL-PASSWORD": "password",
    }

    settings = load(vault, SAFETYAMP_FQDN="company.safetyamp.com")

    settings.require("safetyamp", "samsara", "entra", "viewpoint")
    assert secret(settings, "safetyamp_token") == "safetyamp"
    assert secret(settings, "ms_graph_client_secret") == "graph"
    assert settings.viewpoint_url().password == "password"
    assert settings.masked()["SQL_SERVER"] == "vista [vault]"
    assert settings.masked()["SAFETYAMP_TOKEN"] == "set, not shown [vault]"


def test_the_environment_wins_over_the_vault_and_is_not_asked_for_there(vault: FakeVault) -> None:
    vault.secrets = {"SAFETYAMP-TOKEN": "from-vault", "SAMSARA-API-KEY": "from-vault"}

    settings = load(vault, SAFETYAMP_TOKEN="from-environment")

    assert secret(settings, "safetyamp_token") == "from-environment"
    assert secret(settings, "samsara_api_key") == "from-vault"
    assert "SAFETYAMP-TOKEN" not in vault.asked


def test_the_vault_wins_over_the_env_file_which_may_name_it(vault: FakeVault, tmp_path: Path) -> None:
    vault.secrets = {"SAFETYAMP-TOKEN": "from-vault"}
    file = tmp_path / "test.env"
    file.write_text(f"AZURE_KEY_VAULT_URL={vault.url}\nSAFETYAMP_TOKEN=from-file\nSAMSARA_API_KEY=from-file\n")

    settings = load_settings({}, file, vault.client())

    assert secret(settings, "safetyamp_token") == "from-vault"
    assert secret(settings, "samsara_api_key") == "from-file"


def test_only_secrets_and_what_vaults_keep_beside_them_are_asked_for(vault: FakeVault) -> None:
    load(vault)

    assert "SAFETYAMP-TOKEN" in vault.asked
    assert "ALERT-EMAIL-TO" in vault.asked
    assert not {"LOG-LEVEL", "SAFETYAMP-BASE-URL", "AZURE-KEY-VAULT-URL", "SAFETYAMP-DATA-DIR"} & set(vault.asked)
    assert len(vault.asked) == len(set(vault.asked))


def test_the_old_vaults_name_of_the_sql_password_still_works(vault: FakeVault) -> None:
    vault.secrets = {"VISTA-SQL-PASSWORD": "old"}

    assert secret(load(vault), "sql_password") == "old"

    vault.secrets["SQL-PASSWORD"] = "new"
    assert secret(load(vault), "sql_password") == "new"


def test_an_empty_secret_counts_as_not_set(vault: FakeVault, tmp_path: Path) -> None:
    vault.secrets = {"SAFETYAMP-TOKEN": ""}
    file = tmp_path / "test.env"
    file.write_text("SAFETYAMP_TOKEN=from-file\n")

    assert secret(load(vault, file), "safetyamp_token") == "from-file"


def test_a_vault_may_be_named_instead_of_addressed(vault: FakeVault) -> None:
    addressed: list[str] = []
    vault.secrets = {"SAFETYAMP-TOKEN": "from-vault"}

    def factory(url: str) -> SecretClient:
        addressed.append(url)
        return vault.client()(vault.url)

    settings = load_settings({"AZURE_KEY_VAULT_NAME": "our-vault"}, None, factory)

    assert addressed == ["https://our-vault.vault.azure.net"]
    assert secret(settings, "safetyamp_token") == "from-vault"


def test_without_a_configured_vault_no_client_is_made() -> None:
    def factory(url: str) -> SecretClient:
        raise AssertionError("a vault was asked for although none is configured")

    load_settings({}, None, factory)


def test_a_wrong_address_makes_no_client_and_is_told() -> None:
    def factory(url: str) -> SecretClient:
        raise AssertionError("a token would travel in clear text")

    with pytest.raises(SettingsError, match="AZURE_KEY_VAULT_URL: is not https"):
        load_settings({"AZURE_KEY_VAULT_URL": "http://localhost:1"}, None, factory)


def test_two_vaults_at_once_are_a_contradiction(vault: FakeVault) -> None:
    with pytest.raises(SettingsError, match="AZURE_KEY_VAULT_NAME: names another vault"):
        load(vault, AZURE_KEY_VAULT_NAME="our-vault")


def test_a_vault_that_cannot_be_reached_is_one_clear_problem(vault: FakeVault, closed_address: str) -> None:
    """The password that belongs to SMTP_USERNAME may well be in the vault: it is not told as missing."""
    with pytest.raises(SettingsError) as caught:
        load_settings({"AZURE_KEY_VAULT_URL": closed_address, "SMTP_USERNAME": "me"}, None, vault.client())

    (problem,) = caught.value.problems
    assert problem.variable == "AZURE_KEY_VAULT_URL"
    assert problem.what.startswith(f"{closed_address} cannot be reached")
    assert "network" in problem.do


def test_other_problems_are_told_together_with_the_vaults(vault: FakeVault, closed_address: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"AZURE_KEY_VAULT_URL": closed_address, "SMTP_PORT": "mail"}, None, vault.client())

    assert {problem.variable for problem in caught.value.problems} == {"AZURE_KEY_VAULT_URL", "SMTP_PORT"}


def test_a_login_that_fails_is_told_as_such(vault: FakeVault) -> None:
    with pytest.raises(SettingsError, match=r"AZURE_KEY_VAULT_URL: signing in to .* failed"):
        load_settings({"AZURE_KEY_VAULT_URL": vault.url}, None, vault.client(FakeCredential(fails=True)))


@pytest.mark.parametrize(
    ("answer", "what", "do"),
    [
        (JSONResponse({"error": {"code": "Forbidden"}}, 403), "answered 403", "Key Vault Secrets User"),
        (JSONResponse({"error": {"code": "Throttled"}}, 429), "answered 429", "Try again"),
        (PlainTextResponse("upstream is down", 502), "answered 502", "Try again"),
    ],
)
def test_a_secret_that_is_not_given_is_named(vault: FakeVault, answer: Response, what: str, do: str) -> None:
    vault.refused = {"SAMSARA-API-KEY": answer}

    with pytest.raises(SettingsError, match=f"{what} when asked for SAMSARA-API-KEY") as caught:
        load(vault)

    assert do in caught.value.problems[0].do


def test_a_disabled_secret_that_nobody_needs_is_absent(vault: FakeVault) -> None:
    disabled = {"error": {"code": "Forbidden", "message": "no", "innererror": {"code": "SecretDisabled"}}}
    vault.refused = {"SAMSARA-API-KEY": JSONResponse(disabled, 403)}

    assert load(vault).samsara_api_key is None


def test_an_answer_that_is_no_secret_is_an_error_and_not_an_absent_secret(vault: FakeVault) -> None:
    vault.refused = {"SAMSARA-API-KEY": HTMLResponse("<html>please log in</html>")}

    with pytest.raises(SettingsError, match="AZURE_KEY_VAULT_URL"):
        load(vault)


def test_a_wrong_value_from_the_vault_says_so_and_is_not_shown(vault: FakeVault) -> None:
    vault.secrets = {"SAFETYAMP-TOKEN": "s3cret with blanks"}

    with pytest.raises(SettingsError, match=r"SAFETYAMP_TOKEN: .* \(from vault\)") as caught:
        load(vault)

    assert "s3cret" not in str(caught.value)


def test_a_vault_that_never_answers_fails_within_the_deadline(vault: FakeVault, silent_address: str) -> None:
    reader = VaultReader(silent_address, vault.client(), deadline_seconds=0.3)
    started = time.monotonic()

    with pytest.raises(VaultError, match=r"did not give its secrets within 0\.3 seconds"):
        reader.read(["SAFETYAMP_TOKEN"])

    assert time.monotonic() - started < 20


def test_a_vault_with_an_untrusted_certificate_is_not_believed(vault: FakeVault) -> None:
    def factory(url: str) -> SecretClient:
        return SecretClient(url, FakeCredential(), verify_challenge_resource=False, retry_total=0)

    with pytest.raises(SettingsError, match="cannot be reached"):
        load_settings({"AZURE_KEY_VAULT_URL": vault.url}, None, factory)

    assert vault.asked == []


def test_a_rotated_secret_counts_from_the_next_run_of_a_process_that_lives_on_and_never_within_one(
    vault: FakeVault,
) -> None:
    seen: list[str | None] = []

    @dg.asset
    def reads(one: Nesting, other: Nesting) -> None:
        seen.append(secret(one.settings.get(), "safetyamp_token"))
        vault.secrets["SAFETYAMP-TOKEN"] += "+"
        seen.append(secret(other.settings.get(), "safetyamp_token"))

    def run_twice(seconds: float) -> None:
        vault.secrets["SAFETYAMP-TOKEN"] = "token"
        environ = {"AZURE_KEY_VAULT_URL": vault.url}
        settings = SettingsResource.of(environ, vault_client=vault.client(), vault_seconds=seconds)
        resources = {"one": Nesting(settings=settings), "other": Nesting(settings=settings)}
        for _ in range(2):
            assert dg.materialize([reads], resources=resources).success

    run_twice(0)
    assert seen == ["token", "token", "token+", "token+"]
    asked = len(vault.asked)

    run_twice(3600)
    assert seen[4:] == ["token"] * 4
    assert len(vault.asked) == asked * 3 // 2, "the second run believes what the first one read"


def test_the_real_client_is_made_without_any_network() -> None:
    with azure_client("https://our-vault.vault.azure.net") as client:
        assert client.vault_url == "https://our-vault.vault.azure.net"
