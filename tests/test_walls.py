"""The walls of the house (docs/architecture.md): what may import what, and how much stands where."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1] / "safetyamp_pipelines"

# From the top floor down; rooms on one floor do not know each other.
FLOORS = (
    {"cli"},
    {"desk"},
    {"definitions"},
    {"automation"},
    {"checks"},
    {"assets", "jira"},
    {"resources"},  # Dagster ends here
    {"operations"},
    {"systems"},
    {"ledger"},
    {"settings"},
    {"sync.pushing"},
    {"sync.planning"},
    {"sync.rules"},
    {"sync.entities"},
    {"sync.model"},
)
ROOMS = {room.partition(".")[0] for floor in FLOORS for room in floor} | {"sandbox"}
DAGSTER_STANDS_IN = set().union(*FLOORS[: FLOORS.index({"resources"}) + 1])
ENTRIES = 13
NOT_COUNTED = {"sync.yaml", "sync.schema.json", "desk", "jira"}
IMPORTS_INSIDE_FUNCTIONS = 15
ENDINGS = ("ing", "ure", "ed", "er", "es", "is", "s", "")
IRREGULAR = {"undone": "undo", "told": "tell", "ran": "run", "sent": "send", "kept": "keep", "held": "hold"}
ENVIRONMENT = {"environ", "environb", "getenv", "EnvVar"}


@dataclass(frozen=True)
class Import:
    importer: str
    imported: str
    line: int
    inside: str  # the function it stands in, or nothing
    reason: bool


@dataclass(frozen=True)
class House:
    """Every module below the package by its dotted name (without the package's), and its imports."""

    root: Path
    trees: dict[str, ast.Module]
    imports: list[Import]

    @classmethod
    def read(cls, root: Path) -> House:
        files = {dotted(file.relative_to(root)): file for file in sorted(root.rglob("*.py"))}
        texts = {name: file.read_text(encoding="utf-8") for name, file in files.items()}
        trees = {name: ast.parse(text) for name, text in texts.items()}
        imports = [one for name, tree in trees.items() for one in imports_of(name, tree, texts[name], root.name, files)]
        return cls(root, trees, imports)

    def ours(self) -> Iterator[Import]:
        """The imports of modules of the package itself."""
        return (one for one in self.imports if one.imported in self.trees)

    def product(self) -> list[str]:
        """The modules that are not the embedded world's."""
        return [name for name in self.trees if room_of(name) != "sandbox" and name != ""]


def dotted(file: Path) -> str:
    return ".".join(part for part in file.with_suffix("").parts if part != "__init__")


def imports_of(importer: str, tree: ast.Module, text: str, package: str, files: dict[str, Path]) -> Iterator[Import]:
    """Each module that is imported: `from package.room import module` names the module, not the room."""
    found = sorted(statements_of(tree), key=lambda pair: pair[0].lineno)
    comments: set[int] = set()
    if any(inside for _, inside in found):
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        comments = {token.start[0] for token in tokens if token.type == tokenize.COMMENT}
    explained: set[int] = set()
    for node, inside in found:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            start = importer if files[importer].name == "__init__.py" else importer.rpartition(".")[0]
            for _ in range(1, node.level):
                start = start.rpartition(".")[0]
            relative = ".".join(part for part in (package, start) if part) if node.level else ""
            module = ".".join(part for part in (relative, node.module) if part)
            names = [f"{module}.{alias.name}" for alias in node.names]
        # One comment excuses the imports that follow each other below it.
        if comments & {node.lineno - 1, *range(node.lineno, (node.end_lineno or node.lineno) + 1)} or (
            node.lineno - 1 in explained
        ):
            explained.add(node.end_lineno or node.lineno)
        for name in names:
            target = name.removeprefix(package + ".") if name.startswith(package + ".") else name
            if name != target:
                target = target if target in files else target.rpartition(".")[0]
            yield Import(importer, target, node.lineno, inside, node.end_lineno in explained)


def statements_of(node: ast.AST, inside: str = "") -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    """Each statement that imports, with the function that it stands in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, inside
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from statements_of(child, child.name)
        elif not isinstance(child, ast.expr):
            yield from statements_of(child, inside)


def room_of(module: str) -> str:
    """The room that a module stands in; `sync` is five rooms, whose door is `sync.entities.registry`."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "sync" else parts[0]


def floor_of(module: str) -> int | None:
    """The floor of a module, counted from the top; None for the embedded world and other packages."""
    return next((number for number, rooms in enumerate(FLOORS) if room_of(module) in rooms), None)


def upwards(house: House) -> set[str]:
    """Imports that do not lead downwards, and modules that stand on no floor."""
    homeless = {name for name in house.product() if floor_of(name) is None and name != "sync"}
    arrows = set()
    for one in house.ours():
        above, below = floor_of(one.importer), floor_of(one.imported)
        if (
            above is not None
            and below is not None
            and room_of(one.importer) != room_of(one.imported)
            and above >= below
        ):
            arrows.add(f"{one.importer} -> {one.imported}")
    return homeless | arrows


def circles(house: House) -> set[str]:
    """Modules that import each other, however far round."""
    graph: dict[str, set[str]] = {name: set() for name in house.trees}
    for one in house.ours():
        graph[one.importer].add(one.imported)
    reached = {name: reachable(graph, name) for name in graph}
    rings = {name: {other for other in reached[name] if name in reached[other]} for name in graph}
    return {" <-> ".join(sorted(ring)) for ring in rings.values() if ring}


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    """Everything that a module imports, and what that imports."""
    found: set[str] = set()
    ahead = list(graph[start])
    while ahead:
        module = ahead.pop()
        if module not in found:
            found.add(module)
            ahead += graph[module]
    return found


def dagster_below(house: House) -> set[str]:
    """Modules below `resources/` that import Dagster, in whatever way."""
    return {
        one.importer
        for one in house.imports
        if one.imported.startswith("dagster") and room_of(one.importer) not in DAGSTER_STANDS_IN
    }


def sandbox_knows(house: House) -> set[str]:
    """What the embedded world imports of the rest: as the referee, it must know nothing of the players."""
    return {
        f"{one.importer} -> {one.imported}"
        for one in house.ours()
        if room_of(one.importer) == "sandbox" and room_of(one.imported) != "sandbox"
    }


def domain_knows(house: House) -> set[str]:
    """What `sync/` imports of the package outside itself."""
    return {
        f"{one.importer} -> {one.imported}"
        for one in house.ours()
        if one.importer.startswith("sync") and not one.imported.startswith("sync")
    }


def environment_read(house: House) -> set[str]:
    """Modules outside `settings/` that read the environment of the process."""
    return {
        name
        for name, tree in house.trees.items()
        if room_of(name) != "settings"
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT)
        or (isinstance(node, ast.alias) and node.name in ENVIRONMENT)
    }


def alike(house: House) -> set[str]:
    """Modules of one name, or of names that differ by an ending."""
    stems = {name: name.rpartition(".")[2] for name in house.product() if file_of(house, name)}
    return {
        f"{one} ~ {other}"
        for (one, first), (other, second) in combinations(sorted(stems.items()), 2)
        if roots(first) & roots(second)
    }


def file_of(house: House, module: str) -> bool:
    return (house.root / Path(*module.split("."))).with_suffix(".py").exists()


def roots(name: str) -> set[str]:
    """What may be left of a name without its ending: `pushes`, `pushing` and `pusher` all have `push`."""
    found = {name.removesuffix(ending) for ending in ENDINGS if len(name.removesuffix(ending)) > 2}
    found |= {root + "e" for root in found} | {root[:-1] for root in found if root[-1:] == root[-2:-1]}
    found |= {root[:-1] + "y" for root in found if root.endswith("i")}
    return found | {IRREGULAR.get(name, name)}


def entries(house: House) -> set[str]:
    """What stands directly below the package, when it is more than a reader takes in."""
    found = {entry.name for entry in house.root.iterdir() if entry.is_file() or any(entry.glob("*.py"))} - NOT_COUNTED
    return found if len(found) > ENTRIES else set()


def imports_inside(house: House) -> set[str]:
    """Imports inside functions, when there are more than may be."""
    found = {f"{one.importer}:{one.line}" for one in house.imports if one.inside}
    return {f"{len(found)} imports inside functions"} if len(found) > IMPORTS_INSIDE_FUNCTIONS else set()


def imports_unexplained(house: House) -> set[str]:
    """Functions that import something, with no comment there that gives the reason."""
    return {f"{one.importer}.{one.inside}" for one in house.imports if one.inside and not one.reason}


Rule = Callable[[House], set[str]]
RULES: tuple[Rule, ...] = (
    upwards,
    circles,
    dagster_below,
    sandbox_knows,
    domain_knows,
    environment_read,
    alike,
    entries,
    imports_inside,
    imports_unexplained,
)


# What still stands in the way, rule by rule. It only shrinks: what no longer exists must be deleted here.
ALLOWED: dict[str, set[str]] = {}


@pytest.fixture(scope="module")
def house() -> House:
    return House.read(HOUSE)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_wall_stands(house: House, rule: Rule) -> None:
    allowed = ALLOWED.get(rule.__name__, set())
    found = rule(house)
    assert found - allowed == set(), "goes through a wall"
    assert allowed - found == set(), "is no longer there: delete it from ALLOWED"


@pytest.mark.parametrize(
    ("rule", "file", "text"),
    [
        (upwards, "ledger/a.py", "from safetyamp_pipelines.operations import b"),
        (upwards, "sync/model/a.py", "def f():\n    from safetyamp_pipelines.sync.rules import r"),
        (upwards, "drawer/a.py", ""),
        (
            circles,
            "operations/b.py",
            "from safetyamp_pipelines.operations import c\nimport safetyamp_pipelines.operations.b",
        ),
        (dagster_below, "operations/a.py", "def f():\n    import dagster._core.instance"),
        (dagster_below, "sandbox/a.py", "from dagster import op"),
        (sandbox_knows, "sandbox/a.py", "from ..operations.b import x"),
        (domain_knows, "sync/model/a.py", "from safetyamp_pipelines.operations.b import x"),
        (environment_read, "cli/a.py", "from os import environ"),
        (environment_read, "sandbox/a.py", "import os\nos.getenv('HOME')"),
        (alike, "cli/pushes.py", ""),
        (alike, "cli/pushed.py", ""),
        (alike, "cli/b.py", ""),
        (imports_unexplained, "cli/a.py", "# quick\n\ndef f():\n    import json"),
        (imports_inside, "cli/a.py", "\n".join(f"def f{n}():\n    import json  # slow" for n in range(99))),
        (entries, "drawers/a.py", ""),
    ],
    ids=lambda value: getattr(value, "__name__", None) or (value if value.endswith(".py") else ""),
)
def test_a_breach_is_seen(tmp_path: Path, rule: Rule, file: str, text: str) -> None:
    root = tmp_path / HOUSE.name
    sound = {
        "operations/b.py": "x = 1",
        "operations/c.py": "from safetyamp_pipelines.operations import b",
        "cli/push.py": "",
    }
    sound |= {"sync/rules/r.py": "", "sandbox/b.py": ""} | {f"{name}/__init__.py": "" for name in ROOMS | {"."}}
    for name, body in sound.items():
        write(root / name, body)
    assert rule(House.read(root)) == set()
    write(root / file, text)
    assert rule(House.read(root)) != set()


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
