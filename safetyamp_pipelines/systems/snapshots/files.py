"""Whole files on a local folder or an fsspec URL: write, read, list, delete. Names and meaning are the store's."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetyamp_pipelines.settings.private import private_folder
from safetyamp_pipelines.settings.vault import azure_errors, blob_credential
from safetyamp_pipelines.sync.model.errors import SnapshotError

if TYPE_CHECKING:
    from upath import UPath

BLOBS = ("abfs", "abfss", "az")
_LOCAL = ("", "file", "local")
CALL_SECONDS = 60.0
BLOB_RETRIES = 2, 1, 2, 0
"""A blob store that is out of order is asked again after 1 + 2 s, then after 1 + 2² s."""


class SnapshotFiles:
    """Files below one base. A file is visible whole or not at all; SnapshotError when the storage fails."""

    def __init__(self, base_url: str, connection_string: str | None = None, seconds: float = CALL_SECONDS) -> None:
        """`connection_string` is for a store of Azure; without it this process's identity reads and writes there.
        `seconds` is the deadline of a call to such a store, with all its tries."""
        self._url, self._connection_string, self._seconds = base_url, connection_string, seconds

    @cached_property
    def _folder(self) -> Path | None:
        """The base where it is a folder of this machine, which needs no fsspec; None where it is a store's URL."""
        protocol, _, path = self._url.rpartition("://")
        return Path(path).expanduser().absolute() if protocol in _LOCAL else None

    @cached_property
    def _base(self) -> UPath:
        from upath import UPath  # brings fsspec, of use for stores alone

        options: dict[str, Any] = {}
        if self._url.partition("://")[0] in BLOBS:
            given = self._connection_string
            options = {"credential": blob_credential()} if given is None else {"connection_string": given}
        base: UPath = UPath(self._url, **options)
        if options:
            # adlfs hands no options of retries on. All its clients share this policy, which would wait for 82 seconds.
            retry = base.fs.service_client._config.retry_policy
            retry.total_retries, retry.initial_backoff, retry.increment_base, retry.random_jitter_range = BLOB_RETRIES
        return base

    @property
    def _filesystem(self) -> Any:
        return self._base.fs

    @property
    def _deadline(self) -> dict[str, float]:
        """For a call whose wait can be ended."""
        return {"timeout": self._seconds} if self._filesystem.async_impl else {}

    def write(self, path: str, data: bytes) -> None:
        """Create or replace a file. Blob stores do that in one call; a local file gets its name when it is whole."""
        with self._guarded("written to"):
            if self._folder is not None:
                _write_local(self._folder / path, data)
            else:
                self._filesystem.pipe_file((self._base / path).path, data, **self._deadline)

    def read(self, path: str) -> bytes | None:
        """The whole file, or None when it is not there."""
        with self._guarded("read"), suppress(FileNotFoundError):
            if self._folder is not None:
                return (self._folder / path).read_bytes()
            return bytes(self._filesystem.cat_file((self._base / path).path, **self._deadline))
        return None

    def names(self, folder: str) -> list[str]:
        """Names of the files directly in a folder, as they are now: others may have written since the last listing."""
        with self._guarded("listed"), suppress(FileNotFoundError):
            if self._folder is not None:
                return os.listdir(self._folder / folder)
            self._filesystem.invalidate_cache()
            entries = self._filesystem.ls((self._base / folder).path, detail=False, **self._deadline)
            return [str(entry).rstrip("/").rpartition("/")[2] for entry in entries]
        return []

    def delete(self, path: str) -> None:
        """Delete a file; one that is already gone is fine."""
        with self._guarded("cleaned"), suppress(FileNotFoundError):
            if self._folder is not None:
                (self._folder / path).unlink()
            else:
                self._filesystem.rm_file((self._base / path).path, **self._deadline)

    @contextmanager
    def _guarded(self, done: str) -> Iterator[None]:
        try:
            yield
        except ImportError as error:
            raise SnapshotError(
                f"SNAPSHOT_URL {self._public_url} needs {error.name or 'a package'}: install safetyamp-pipelines[azure]"
            ) from error
        except (OSError, RuntimeError, ValueError, azure_errors().AzureError) as error:
            # adlfs raises RuntimeError for a missing container and ValueError without an account.
            # Only a call with a deadline raises this without a number of the system.
            is_late = isinstance(error, TimeoutError) and error.errno is None
            reason = f"within {self._seconds:g} s; it is tried again by the next run" if is_late else _reason(error)
            raise SnapshotError(f"SNAPSHOT_URL {self._public_url} could not be {done} {reason}") from error

    @property
    def _public_url(self) -> str:
        return self._url.partition("?")[0]


def _reason(error: Exception) -> str:
    """What stands in the way, and what to do; the text of a store may hold a signature."""
    kind = type(error).__name__
    status = getattr(error, "status_code", None) or getattr(error.__cause__, "status_code", None)
    if isinstance(error, ValueError) and "account" in str(error):
        return f"({kind}): it names no account: give abfs://container@account.dfs.core.windows.net/folder"
    if status in (401, 403):
        return f"({status}): give this process's identity the role Storage Blob Data Contributor"
    if status == 404 or isinstance(error, RuntimeError):
        return f"({status or kind}): the container is not there: make it, or correct its name"
    if status is not None and status >= 500:
        return f"({status}): the store is out of order; it is tried again by the next run"
    return f"({kind}): check that it exists, that this identity may read and write it, and that there is room"


def _write_local(target: Path, data: bytes) -> None:
    """Atomic and durable: a reader sees the old state or the whole file, also after a crash of the machine."""
    private_folder(target.parent)
    unfinished = target.with_name(f"{target.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, target)
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
