"""What would fail on a Space, found before anything is uploaded. Nothing here uses the network."""

import ast
import importlib.metadata
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement

from audiollm.errors import ConfigError

# What the program needs on a Space; tests and measurements stay at home
FILES = ("app.py", "requirements.txt", "README.md", "README_zh.md", "LICENSE")
FOLDERS = ("audiollm", "train", "assets", "docs")
LARGEST = 1_000_000_000  # bytes that a Space's repository may hold
POINTER = b"version https://git-lfs.github.com/spec/"
COLOURS = "red|yellow|green|blue|indigo|purple|pink|gray"
# field of the front matter -> type, or pattern of a text; `sdk` is gradio here
FIELDS: Mapping[str, type | str] = {
    "title": r".+",
    "emoji": r"\W{1,8}",
    "colorFrom": COLOURS,
    "colorTo": COLOURS,
    "sdk": "gradio",
    "sdk_version": r"\d+\.\d+\.\d+",
    "python_version": r"3\.\d+(\.\d+)?",
    "app_file": r"[\w./-]+\.py",
    "base_path": r"/.*",
    "fullWidth": bool,
    "header": "mini|default",
    "short_description": r".{1,60}",
    "license": r"[a-z0-9.+-]+",
    "suggested_hardware": r"[a-z0-9-]+",
    "suggested_storage": "small|medium|large",
    "startup_duration_timeout": r"\d+(s|m|h)",
    "thumbnail": r"https?://.+",
    "pinned": bool,
    "disable_embedding": bool,
    "hf_oauth": bool,
    "hf_oauth_expiration_minutes": int,
    "hf_oauth_scopes": list,
    "hf_oauth_authorized_org": r".+",
    "models": list,
    "datasets": list,
    "tags": list,
    "preload_from_hub": list,
    "custom_headers": dict,
}
NEEDED = ("title", "sdk", "sdk_version", "python_version", "app_file")
SECRETS = re.compile(
    rb"\bhf_[A-Za-z0-9]{30,}|\bgh[pousr]_[A-Za-z0-9]{36,}|\bsk-[A-Za-z0-9_-]{32,}"
    rb"|\bAKIA[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
PRIVATE = re.compile(r"\.env(\..*)?|id_(rsa|ed25519|ecdsa)|.*\.(pem|key|p12|kdbx)|credentials")


def patterns() -> list[str]:
    """Of the files that are uploaded, as `upload_folder` takes them."""
    return [*FILES, *(f"{folder}/*" for folder in FOLDERS)]


IGNORED = ["*__pycache__*", "*.pyc"]


def files(root: Path) -> list[Path]:
    """The files that are uploaded, sorted."""
    paths = [root / name for name in FILES if (root / name).is_file()]
    for folder in FOLDERS:
        paths += [p for p in (root / folder).rglob("*") if p.is_file()]
    return sorted(p for p in paths if "__pycache__" not in p.parts and p.suffix != ".pyc")


def problems(root: Path) -> list[ConfigError]:
    """Everything that would fail on a Space; [] where nothing is known to."""
    errors: list[ConfigError] = []
    uploaded = files(root)
    head = front_matter(root / "README.md")
    errors += _of_front_matter(root, head)
    errors += _of_files(root, uploaded)
    errors += _of_imports(root, uploaded, str(head.get("python_version", "")))
    return errors


def front_matter(readme: Path) -> dict[str, Any]:
    """{} where there is none that can be read."""
    try:
        head = readme.read_text(encoding="utf-8").split("---\n")[1]
        fields = yaml.safe_load(head)
    except (OSError, UnicodeDecodeError, IndexError, yaml.YAMLError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _of_front_matter(root: Path, head: Mapping[str, Any]) -> Iterator[ConfigError]:
    for name in NEEDED:
        if name not in head:
            yield ConfigError("deploy_field_missing", name=name)
    for name, value in head.items():
        kind = FIELDS.get(str(name))
        if kind is None:
            yield ConfigError("deploy_field_unknown", name=name)
        elif not (
            isinstance(value, str) and re.fullmatch(kind, value)
            if isinstance(kind, str)
            else isinstance(value, kind)
        ):
            yield ConfigError("deploy_field_value", name=name, value=value)
    if "app_file" in head and not (root / str(head["app_file"])).is_file():
        yield ConfigError("deploy_field_value", name="app_file", value=head["app_file"])
    gradio = _requirements(root).get("gradio")
    version = str(head.get("sdk_version", ""))
    if gradio and re.fullmatch(r"\d+\.\d+\.\d+", version) and version not in gradio.specifier:
        yield ConfigError("deploy_gradio", version=version, wanted=str(gradio.specifier))


def _of_files(root: Path, uploaded: list[Path]) -> Iterator[ConfigError]:
    total = 0
    for path in uploaded:
        relative, content = path.relative_to(root), path.read_bytes()
        total += len(content)
        if content.startswith(POINTER):
            yield ConfigError("deploy_pointer", path=relative)
        if SECRETS.search(content) or PRIVATE.fullmatch(path.name):
            yield ConfigError("deploy_secret_inside", path=relative)
    if total > LARGEST:
        yield ConfigError("deploy_large", size=total // 1_000_000, most=LARGEST // 1_000_000)


def _of_imports(root: Path, uploaded: list[Path], python: str) -> Iterator[ConfigError]:
    """Syntax of a newer Python, and modules that `requirements.txt` does not bring."""
    version = (3, int(python.split(".")[1])) if re.fullmatch(r"3\.\d+.*", python) else None
    allowed = _provided(root) | {"app", "audiollm", "train"} | set(sys.stdlib_module_names)
    for path in (p for p in uploaded if p.suffix == ".py"):
        relative = path.relative_to(root)
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=version)
        except (SyntaxError, UnicodeDecodeError) as error:
            yield ConfigError("deploy_syntax", path=relative, version=python, reason=str(error))
            continue
        for name in sorted(_imported(tree) - allowed):
            yield ConfigError("deploy_import", path=relative, name=name)


def _imported(tree: ast.Module) -> set[str]:
    """Modules without which the file cannot be imported: those at its top, not in a `try`."""
    modules: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.add(node.module.partition(".")[0])
    return modules


def _requirements(root: Path) -> dict[str, Requirement]:
    path = root / "requirements.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    requirements = [Requirement(line) for line in lines if line.strip() and line[0] not in "#-"]
    return {_plain(r.name): r for r in requirements}


def _provided(root: Path) -> set[str]:
    """Modules of the packages in `requirements.txt` and of those that they require."""
    pending, packages = list(_requirements(root)), set()
    while pending:
        name = pending.pop()
        if name in packages:
            continue
        packages.add(name)
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for requirement in map(Requirement, requirements):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                pending.append(_plain(requirement.name))
    modules = importlib.metadata.packages_distributions()
    return {module for module, owners in modules.items() if packages & set(map(_plain, owners))}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
