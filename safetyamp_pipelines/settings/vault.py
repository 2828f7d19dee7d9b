"""Reading named secrets from Azure Key Vault within a bounded time. Which ones are read: model.py.

Azure's libraries are imported only when a vault is configured: they take a second to load.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.keyvault.secrets import SecretClient

ClientFactory = Callable[[str], "SecretClient"]

SECOND_NAMES: Mapping[str, str] = {"SQL_PASSWORD": "VISTA-SQL-PASSWORD"}
"""What an older vault calls a secret; looked for when the first name is not there."""

DEADLINE_SECONDS = 30.0
"""For signing in and reading everything; a start that waits longer looks dead."""


class VaultError(Exception):
    """The vault could not be read. `what` and `do` are for the operator; no secret is in them."""

    def __init__(self, what: str, do: str) -> None:
        self.what, self.do = what, do
        super().__init__(what)


def azure_credential(library: str = "azure.identity") -> TokenCredential:
    """The identity of this process, in one order for vault, database and blobs: workload identity, managed identity,
    the Azure command line …, and only then a client secret in the environment, which may be left over there.
    """
    identity = import_module(library)  # here and below: loading Azure's libraries takes a second
    first = identity.DefaultAzureCredential(exclude_environment_credential=True)
    chain: TokenCredential = identity.ChainedTokenCredential(first, identity.EnvironmentCredential())
    return chain


@cache
def blob_credential() -> Any:
    """The same identity for adlfs, which calls it from a loop of its own; None where the environment names an account's
    own key, signature or principal for blobs alone, as adlfs reads it."""
    own = ("ACCOUNT_KEY", "SAS_TOKEN", "CLIENT_SECRET", "CONNECTION_STRING")
    is_named = any(os.environ.get(f"AZURE_STORAGE_{name}") for name in own)
    return None if is_named else azure_credential("azure.identity.aio")


def azure_client(url: str) -> SecretClient:
    """A client that signs in as the process."""
    library = import_module("azure.keyvault.secrets")
    client: SecretClient = library.SecretClient(
        url, azure_credential(), retry_total=2, connection_timeout=5, read_timeout=5
    )
    return client


class VaultReader:
    """One vault, asked for secrets by the names of their variables."""

    def __init__(
        self, url: str, factory: ClientFactory | None = None, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        self._url = url
        self._factory = factory or azure_client
        self._deadline_seconds = deadline_seconds

    def read(self, variables: Iterable[str]) -> dict[str, str | None]:
        """Variable to value; a secret that is not in the vault is left out. VaultError when the vault cannot be read.

        The work runs in a thread of its own because only that bounds every way of hanging: a server that sends a byte
        now and then outlasts any socket time-out, and signing in may wait for a command line tool.
        """
        names = tuple(variables)
        found: dict[str, str | None] = {}
        failed: list[VaultError] = []
        workers = [threading.Thread(target=self._read, args=(names, found, failed), daemon=True)]
        workers[0].start()
        workers[0].join(self._deadline_seconds)
        if failed:
            raise failed[0]
        if workers[0].is_alive():
            raise VaultError(
                f"{self._url} did not give its secrets within {self._deadline_seconds:g} seconds",
                "Check the network path to the vault and the identity of this process",
            )
        return {name: value for name, value in found.items() if value is not None}

    def _read(self, variables: tuple[str, ...], found: dict[str, str | None], failed: list[VaultError]) -> None:
        """Read the first secret, which signs in, and then the others side by side."""
        try:
            with self._factory(self._url) as client:
                for group in (variables[:1], variables[1:]):
                    workers = [
                        threading.Thread(target=self._one, args=(client, name, found, failed), daemon=True)
                        for name in group
                    ]
                    for worker in workers:
                        worker.start()
                    for worker in workers:
                        worker.join()
                    if failed:
                        return
        # Whatever Azure's libraries raise must reach the waiting thread, or it would wait for nothing.
        except Exception as error:  # noqa: BLE001
            failed.append(_explained(self._url, error))

    def _one(self, client: SecretClient, name: str, found: dict[str, str | None], failed: list[VaultError]) -> None:
        try:
            found[name] = _secret(client, name)
        except VaultError as error:
            failed.append(error)
        except Exception as error:  # noqa: BLE001 (as in _read)
            failed.append(_explained(self._url, error))


def secret_expiries(url: str) -> dict[str, datetime]:
    """Variable → when its secret expires, for those whose expiry is set in the vault. Their values are not read."""
    with azure_client(url) as client:
        found = {one.name: one.expires_on for one in client.list_properties_of_secrets()}
    return {str(name).replace("-", "_"): ends for name, ends in found.items() if ends is not None}


def azure_errors() -> Any:
    """Azure's exceptions; in an `except` they are loaded when there is an error, and not before."""
    # as in azure_credential
    from azure.core import exceptions

    return exceptions


def _secret(client: SecretClient, variable: str) -> str | None:
    errors = azure_errors()
    for name in filter(None, (variable.replace("_", "-"), SECOND_NAMES.get(variable))):
        try:
            return client.get_secret(name).value
        except errors.ResourceNotFoundError:
            continue
        except errors.ClientAuthenticationError:
            raise
        except errors.HttpResponseError as error:
            if "SecretDisabled" in str(error):
                continue
            refused = error.status_code == 403
            raise VaultError(
                f"the vault answered {error.status_code} when asked for {name}",
                "Give this process the role Key Vault Secrets User, and enable the secret"
                if refused
                else "Try again; if it stays so, look at the vault in the Azure portal",
            ) from error
    return None


def _explained(url: str, error: Exception) -> VaultError:
    """Azure's errors in two kinds: could not sign in, could not be reached."""
    kind = ", ".join([type(error).__name__, *dict.fromkeys(re.findall(r"AADSTS\d+", str(error)))])
    if isinstance(error, azure_errors().ClientAuthenticationError):
        return VaultError(
            f"signing in to {url} failed ({kind})", "Check the identity of this process and its role there"
        )
    return VaultError(f"{url} cannot be reached ({kind})", "Check the address and the network, or remove the variable")
