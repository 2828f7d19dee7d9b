"""Links from an asset in the UI to the code it is made by, and to the declaration of its fields."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from safetyamp_pipelines.sync.entities.registry import BY_NAME, pushed_as

ROOT = Path(__file__).parents[2]
"""The folder of the repository: paths in it are the same on the machine and in git."""


def with_source_links(
    assets: Iterable[dg.AssetsDefinition], git_url: str | None, git_branch: str
) -> list[dg.AssetsDefinition]:
    """The assets with links to git; as they are where no repository is named.

    Dagster's own way reads every source file; what a function knows of itself is enough, and costs no file access.
    """
    if git_url is None:
        return list(assets)
    link = _in_git(git_url, git_branch)
    # Code references are marked beta, which Dagster warns of at every load.
    with warnings.catch_warnings(action="ignore", category=dg.BetaWarning):
        return [one.map_asset_specs(_linked(_function(one), link)) for one in assets]


Link = Callable[[Path, int, str], dg.UrlCodeReference]
"""Makes a reference from a path below ROOT, a line and what is to be found there."""


def _in_git(url: str, branch: str) -> Link:
    tree = f"{url}/-/tree/{branch}" if "gitlab" in url else f"{url}/tree/{branch}"
    return lambda path, line, label: dg.UrlCodeReference(url=f"{tree}/{path.as_posix()}#L{line}", label=label)


def _function(assets: dg.AssetsDefinition) -> Any:
    """The function that was written, below its decorators."""
    compute: Any = assets.op.compute_fn
    return inspect.unwrap(compute.decorated_fn)


def _linked(function: Any, link: Link) -> Callable[[dg.AssetSpec], dg.AssetSpec]:
    code = function.__code__
    path = Path(code.co_filename).relative_to(ROOT)

    def linked(spec: dg.AssetSpec) -> dg.AssetSpec:
        references: list[dg.LocalFileCodeReference | dg.UrlCodeReference] = [
            link(path, code.co_firstlineno, path.name),
            *_declarations(spec.key, link),
        ]
        found = dg.CodeReferencesMetadataValue(code_references=references)
        return spec.merge_attributes(metadata={"dagster/code_references": found})

    return linked


def _declarations(key: dg.AssetKey, link: Link) -> Iterator[dg.UrlCodeReference]:
    """Plans and pushes of all entities are made by one function: what is special about one is its declaration."""
    name = key.to_user_string()
    spec = BY_NAME.get(name.removeprefix("plan/")) if name.startswith("plan/") else pushed_as(name)
    if spec is not None:
        path = Path(inspect.getfile(spec.desire)).relative_to(ROOT)
        yield link(path, 1, f"{path.name}: fields and rules")
