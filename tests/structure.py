"""`python -m tests.structure`: lines, parts and imports of the project, as one table.

The rules that tests/test_architecture.py asserts are computed here.
"""

import ast
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
SUFFIXES = (".py", ".js", ".css", ".html")

# A package or module imports those of its own level or of a lower one.
LEVELS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "errors labels settings texts",
        "contracts",
        "hub metrics",
        "audio",
        "database encoder",
        "model",
        "analysis",
        "inference",
        "predictor jobs labelling",
        "deploy web __main__",
    )
)


def tracked() -> list[Path]:
    """Files of the project that hold code, without tests; relative to its root."""
    found = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).split()
    paths = [Path(name) for name in found if name.endswith(SUFFIXES)]
    return [p for p in paths if p.parts[0] != "tests" and (ROOT / p).is_file()]


def lines(path: Path) -> int:
    return len((ROOT / path).read_text(encoding="utf-8").splitlines())


def module(path: Path) -> str:
    """`audiollm/audio/prosody.py` -> `audiollm.audio.prosody`; a package has its folder's name."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Dotted names of everything a file imports, also inside functions and for type checkers."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def uses(path: Path) -> set[str]:
    """What a file's code reads and passes: "os.environ", "eval", "shell=True". Setting a variable
    of the environment does not read it."""
    found: set[str] = set()
    stored: set[ast.AST] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            stored.add(node.value)
        elif isinstance(node, ast.Attribute | ast.Name | ast.keyword) and node not in stored:
            found.add(ast.unparse(node))
    return found


def edges(paths: list[Path]) -> dict[str, set[str]]:
    """Module -> modules of the project that it imports, those for type checkers included."""
    known = {module(p) for p in paths if p.suffix == ".py"}
    graph: dict[str, set[str]] = {}
    for path in paths:
        if path.suffix == ".py":
            own = module(path)
            used = {_nearest(name, known) for name in imports(path)} - {None, own}
            graph[own] = {name for name in used if name}
    return graph


def _nearest(name: str, known: set[str]) -> str | None:
    """The module that an imported name comes from."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or None


def packages(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same graph between packages: `audiollm.audio.prosody` counts as `audiollm.audio`."""
    found: dict[str, set[str]] = {}
    for name, used in graph.items():
        own = ".".join(name.split(".")[:2])
        others = {".".join(u.split(".")[:2]) for u in used}
        found.setdefault(own, set()).update(others - {own})
    return found


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, directly or through others (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph.get(name, ()):
            if other not in index:
                visit(other)
            if other in stack:
                low[name] = min(low[name], low[other])
        if low[name] == index[name]:
            at = stack.index(name)
            group, stack[at:] = sorted(stack[at:]), []
            if len(group) > 1:
                found.append(group)

    for name in graph:
        if name not in index:
            visit(name)
    return found


def level(name: str) -> int | None:
    """Level of `audiollm.<part>...`; None: it has none."""
    part = name.partition(".")[2].partition(".")[0]
    return next((i for i, names in enumerate(LEVELS) if part in names), None)


def top_level(paths: list[Path]) -> set[str]:
    """Files and folders right under audiollm/."""
    return {p.parts[1] for p in paths if p.parts[0] == "audiollm"}


def main() -> None:
    paths = tracked()
    graph = edges(paths)
    sizes = {p: lines(p) for p in paths}
    folders: dict[str, int] = {}
    for path, size in sizes.items():
        part = "/".join(path.parts[: 2 if path.parts[0] in ("audiollm", "train") else 1])
        folders[part] = folders.get(part, 0) + size
    for part, size in sorted(folders.items()):
        print(f"{size:6}  {part}")
    longest = max(sizes, key=lambda p: sizes[p])
    print(f"{sum(sizes.values()):6}  lines without tests, in {len(paths)} files")
    print(f"{sizes[longest]:6}  lines of the longest file, {longest}")
    print(f"{len(top_level(paths)):6}  parts under audiollm/")
    print(f"{sum(map(len, graph.values())):6}  imports between files")
    for group in circles(graph) + circles(packages(graph)):
        print(f"circle: {' '.join(group)}")


if __name__ == "__main__":
    main()
