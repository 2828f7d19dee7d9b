"""Snapshots in a blob store: Microsoft's emulator where it is installed, and each failure in its own words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

import pytest
from azurite import KEY, address, azurite
from scripted_server import ScriptedServer, raw

from safetyamp_pipelines.settings.vault import azure_credential, blob_credential
from safetyamp_pipelines.sync.model.errors import SnapshotError
from safetyamp_pipelines.systems.snapshots.files import SnapshotFiles
from safetyamp_pipelines.systems.snapshots.store import SnapshotStore

URL = "abfs://snapshots@teststore.dfs.core.windows.net/sync"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    from azure.storage.blob import BlobServiceClient  # half a second, for those who have a server

    with azurite(tmp_path_factory.mktemp("azurite")) as port:
        with BlobServiceClient.from_connection_string(address(port)) as account:
            account.create_container("snapshots")
        yield port


@pytest.mark.slow
def test_a_store_of_blobs_publishes_rewrites_prunes_and_lists(port: int) -> None:
    store = SnapshotStore(URL, keep_count=1, connection_string=address(port))

    first = store.publish("viewpoint/jobs", "run-1", b"one", {"n": 1})
    second = store.publish("viewpoint/jobs", "run-2", b"two", {"n": 2})
    store.rewrite(second, b"2", {"n": 3})

    assert [ref.run_id for ref in store.history("viewpoint/jobs")] == ["run-2", "run-1"]
    assert store.read(first) == b"one"
    newest = store.newest("viewpoint/jobs")
    assert newest is not None
    assert (store.read(newest), newest.content) == (b"2", {"n": 3})
    assert store.prune("viewpoint/jobs") == 2
    assert store.newest("viewpoint/users") is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "key", "words"),
    [
        (URL.replace("snapshots@", "nowhere@"), KEY, "the container is not there: make it, or correct its name"),
        (URL, "d3Jvbmc=", r"\(403\): give this process's identity the role Storage Blob Data Contributor"),
    ],
    ids=["no container", "no right"],  # the key of the server differs in each of pytest's processes
)
def test_each_refusal_has_its_own_words(url: str, key: str, words: str, port: int) -> None:
    with pytest.raises(SnapshotError, match=words):
        SnapshotFiles(url, address(port, key)).write("x/a.bin", b"1")


def test_a_url_without_an_account_says_how_it_is_written() -> None:
    with pytest.raises(SnapshotError, match=r"it names no account: give abfs://container@account\.dfs"):
        SnapshotFiles("abfs://snapshots/sync").write("x/a.bin", b"1")


def test_a_store_that_is_out_of_order_is_asked_three_times_and_again_by_the_next_run(server: ScriptedServer) -> None:
    server.script(raw(503))

    begun = time.monotonic()
    with pytest.raises(SnapshotError, match=r"\(503\): the store is out of order; it is tried again by the next run"):
        SnapshotFiles(URL, address(urlsplit(server.url).port or 0)).write("x/a.bin", b"1")

    assert len(server.asked) == 3
    assert time.monotonic() - begun < 20


def late(handler: BaseHTTPRequestHandler) -> None:
    """An answer that comes when nobody waits for it any more."""
    time.sleep(6)
    raw(404)(handler)


def test_a_store_that_says_nothing_is_waited_for_until_the_deadline(server: ScriptedServer) -> None:
    server.script(late)

    begun = time.monotonic()
    with pytest.raises(SnapshotError, match=r"could not be read within 1 s; it is tried again by the next run"):
        SnapshotFiles(URL, address(urlsplit(server.url).port or 0), seconds=1).read("x/a.bin")

    assert time.monotonic() - begun < 6


def test_vault_database_and_blobs_sign_in_in_one_order() -> None:
    """A client secret left over in the environment comes last everywhere."""
    orders = []
    for credential in (azure_credential(), blob_credential()):
        chain = credential.credentials
        orders.append([type(one).__name__ for one in (*chain[0].credentials, *chain[1:])])

    assert orders[1][1:] == [name for name in orders[0][1:] if name != "BrokerCredential"]
    assert orders[1][-1] == "EnvironmentCredential"
    assert SnapshotFiles(URL)._filesystem.credential is blob_credential()
