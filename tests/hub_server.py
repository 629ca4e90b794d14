"""A server with the addresses of Hugging Face's and ModelScope's hubs that this project uses, for
their own clients. Repositories are in memory; every request is recorded.
"""

import base64
import hashlib
import importlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

LARGE = 1000  # bytes from which on a file goes to the large file storage
TOKEN = "hf_only-of-this-test"
Files = dict[str, bytes]


@dataclass
class Repository:
    """Of a model, a data set or a Space: one branch, main, and its commits."""

    commits: dict[str, Files] = field(default_factory=dict)  # the oldest first
    made: dict[str, Any] = field(default_factory=dict)  # what it was created with
    settings: dict[str, Any] = field(default_factory=dict)  # of a Space

    def commit(self, files: Files) -> str:
        oid = hashlib.sha1(f"{len(self.commits)}{sorted(files)}".encode()).hexdigest()  # noqa: S324
        self.commits[oid] = files
        return oid

    def at(self, revision: str) -> tuple[str, Files] | None:
        """(commit, files); None where there is no such revision."""
        if revision in ("main", "master") and self.commits:
            return list(self.commits.items())[-1]
        return (revision, self.commits[revision]) if revision in self.commits else None


@dataclass
class Hub:
    """Both hubs: a model has the same name on each."""

    repositories: dict[str, Repository] = field(default_factory=dict)  # models/user/name, ...
    requests: list[tuple[str, str, Any]] = field(default_factory=list)  # method, path, JSON
    large: dict[str, bytes] = field(default_factory=dict)  # by sha256
    breaks: int = 0  # so many downloads break off in their middle
    ranges: list[int] = field(default_factory=list)  # bytes at which downloads were resumed
    address: str = ""

    def add(self, name: str, files: Files) -> str:
        """A commit of a model; returns it."""
        return self.repositories.setdefault(f"models/{name}", Repository()).commit(files)

    def asked(self, method: str, part: str) -> list[Any]:
        """What was sent to the addresses that hold `part`."""
        return [body for how, path, body in self.requests if how == method and part in path]

    def fetched(self) -> list[str]:
        """The names of the files that were downloaded."""
        found = [path for how, path, _ in self.requests if how == "GET"]
        names = [re.search(r"/resolve/[^/]+/(.+)|FilePath=([^&]+)", path) for path in found]
        return [unquote(name[1] or name[2]) for name in names if name]


@contextmanager
def serving() -> Iterator[Hub]:
    hub = Hub()
    handler = type("Bound", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def use(hub: Hub, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """Points the clients at it, as a mirror's address does: somebody is logged in, caches and the
    working folder are empty."""
    for name, value in {
        "ENDPOINT": hub.address,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.address + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(place / "cache"),
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
        "DOWNLOAD_CHUNK_SIZE": LARGE // 2,
    }.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", hub.address)
    monkeypatch.setenv("MODELSCOPE_CACHE", str(place / "scope"))
    with suppress(ImportError):
        config = importlib.import_module("modelscope_hub.config")
        config.set_default_config(None)
    monkeypatch.chdir(place)


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        path = urlsplit(self.path).path
        sent: Any = body
        if "json" in self.headers.get("Content-Type", ""):
            sent = [json.loads(line) for line in body.splitlines()] if body else None
            sent = sent[0] if sent and "ndjson" not in self.headers["Content-Type"] else sent
        self.hub.requests.append((self.command, self.path, sent))
        for pattern, answer in ROUTES.items():
            method, _, address = pattern.partition(" ")
            found = re.fullmatch(address, path)
            if found and self.command in method.split("|"):
                if not path.startswith(PUBLIC) and self.command != "GET" and not self._known():
                    return self._json({"error": "Invalid username or password."}, 401)
                return answer(self, sent, *map(unquote, found.groups()))
        return self._json({"error": f"{self.command} {path}"}, 404)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _serve  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass

    def _known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}" or self.command == "HEAD"

    def _json(self, content: object, code: int = 200) -> None:
        self._send(json.dumps(content).encode(), code, {"Content-Type": "application/json"})

    def _send(self, content: bytes, code: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _file(self, content: bytes, headers: dict[str, str]) -> None:
        """The rest of a file from the byte that was asked for on; the last `breaks` break off."""
        start = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if start and self.command == "GET":
            self.hub.ranges.append(int(start[1]))
            part = content[int(start[1]) :]
            where = f"bytes {start[1]}-{len(content) - 1}/{len(content)}"
            return self._send(part, 206, {**headers, "Content-Range": where})
        if self.hub.breaks and self.command == "GET" and len(content) > LARGE:
            self.hub.breaks -= 1
            self.send_response(200)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.close_connection = True
            return None
        return self._send(content, 200, headers)

    # --- Hugging Face

    def whoami(self, _: Any) -> None:
        if not self._known():
            return self._json({"error": "Invalid credentials"}, 401)
        return self._json({"type": "user", "name": "ann", "orgs": []})

    def create(self, sent: Any) -> None:
        owner = sent.get("organization") or "ann"
        kind = f"{sent.get('type', 'model')}s"
        name = f"{kind}/{owner}/{sent['name']}"
        prefix = "" if kind == "models" else f"{kind}/"
        url = f"{self.hub.address}/{prefix}{owner}/{sent['name']}"
        if name in self.hub.repositories:
            return self._json({"error": "You already created this", "url": url}, 409)
        made = self.hub.repositories[name] = Repository(made=sent)
        made.commit({".gitattributes": b""})
        return self._json({"url": url})

    def space(self, sent: Any, name: str, what: str) -> None:
        settings = self.hub.repositories[f"spaces/{name}"].settings
        if what in ("variables", "secrets"):
            settings.setdefault(what, {})[sent["key"]] = sent["value"]
            return self._json({sent["key"]: sent})
        settings[what] = sent
        wanted = settings.get("hardware", {}).get("flavor", "cpu-basic")
        runtime = {"stage": "BUILDING", "hardware": {"current": None, "requested": wanted}}
        return self._json({**runtime, "storage": None, "gcTimeout": 1})

    def visible(self, sent: Any, kind: str, name: str) -> None:
        self.hub.repositories[f"{kind}/{name}"].made.update(sent)
        self._json(sent)

    def bucket(self, _: Any, name: str) -> None:
        self._json({"url": f"{self.hub.address}/buckets/{name}"})

    def validate(self, _: Any) -> None:
        self._json({"errors": [], "warnings": []})

    def preupload(self, sent: Any, *_: str) -> None:
        modes = [(f["path"], "lfs" if f["size"] > LARGE else "regular") for f in sent["files"]]
        listed = [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in modes]
        self._json({"files": listed})

    def batch(self, sent: Any, *_: str) -> None:
        def action(found: Any) -> dict[str, Any]:
            href = f"{self.hub.address}/large/{found['oid']}"
            return {**found, "actions": {"upload": {"href": href}}}

        self._json({"transfer": "basic", "objects": list(map(action, sent["objects"]))})

    def store(self, sent: bytes, oid: str) -> None:
        assert hashlib.sha256(sent).hexdigest() == oid
        self.hub.large[oid] = sent
        self._send(b"")

    def commit(self, sent: Any, kind: str, name: str, *_: str) -> None:
        repository = self.hub.repositories[f"{kind}/{name}"]
        found = repository.at("main")
        files = dict(found[1]) if found else {}
        for entry in sent:
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
            elif entry["key"] == "deletedFile":
                del files[value["path"]]
        oid = repository.commit(files)
        url = f"{self.hub.address}/{'' if kind == 'models' else kind + '/'}{name}/commit/{oid}"
        self._json({"commitUrl": url, "commitOid": oid, "success": True})

    def _at(self, kind: str, name: str, revision: str) -> tuple[str, Files] | None:
        repository = self.hub.repositories.get(f"{kind}/{name}")
        found = repository.at(revision) if repository else None
        if found is None:
            code = "RevisionNotFound" if repository else "RepoNotFound"
            self._send(b"", 404, {"X-Error-Code": code})
        return found

    def info(self, _: Any, kind: str, name: str, revision: str = "main") -> None:
        if found := self._at(kind, name, revision):
            siblings = [{"rfilename": path} for path in found[1]]
            self._json({"id": name, "sha": found[0], "siblings": siblings, "private": True})

    def tree(self, _: Any, kind: str, name: str, revision: str) -> None:
        if found := self._at(kind, name, revision):
            listed = [_entry(path, content) for path, content in found[1].items()]
            self._json(listed)

    def resolve(self, _: Any, name: str, revision: str, path: str) -> None:
        if found := self._at("models", name, revision):
            if path not in found[1]:
                return self._send(b"", 404, {"X-Error-Code": "EntryNotFound"})
            content = found[1][path]
            etag = {"ETag": f'"{_etag(content)}"', "X-Repo-Commit": found[0]}
            return self._file(content, {**etag, "Accept-Ranges": "bytes"})
        return None

    # --- ModelScope

    def scope_files(self, _: Any, name: str) -> None:
        if found := self._at("models", name, self._query("Revision")):
            files = [
                {"Path": p, "Size": len(c), "Type": "blob", "Sha256": hashlib.sha256(c).hexdigest()}
                for p, c in found[1].items()
            ]
            self._json({"Code": 200, "Success": True, "Data": {"Files": files}})

    def scope_file(self, _: Any, name: str) -> None:
        if found := self._at("models", name, self._query("Revision")):
            self._file(found[1][self._query("FilePath")], {})

    def _query(self, name: str) -> str:
        return parse_qs(urlsplit(self.path).query).get(name, ["master"])[0]

    def root(self, _: Any) -> None:
        self._send(b"")


def _etag(content: bytes) -> str:
    kind = hashlib.sha256 if len(content) > LARGE else hashlib.sha1
    return kind(content).hexdigest()


def _entry(path: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content)}
    entry["oid"] = hashlib.sha1(content).hexdigest()  # noqa: S324
    if len(content) > LARGE:
        entry["lfs"] = {"oid": _etag(content), "size": len(content), "pointerSize": 130}
    return entry


PUBLIC = ("/large/", "/api/v1/")
_ID = "([^/]+/[^/]+)"
_KIND = "/api/(models|datasets|spaces)/([^/]+/[^/]+)"
ROUTES: dict[str, Any] = {
    "GET|HEAD /": _Handler.root,
    "GET /api/whoami-v2": _Handler.whoami,
    "POST /api/repos/create": _Handler.create,
    "POST /api/validate-yaml": _Handler.validate,
    f"POST|PUT /api/spaces/{_ID}/(variables|secrets|hardware|sleeptime|volumes)": _Handler.space,
    f"PUT {_KIND}/settings": _Handler.visible,
    f"POST /api/buckets/{_ID}": _Handler.bucket,
    f"POST {_KIND}/preupload/(.+)": _Handler.preupload,
    f"POST /(?:datasets/|spaces/)?{_ID}.git/info/lfs/objects/batch": _Handler.batch,
    "PUT /large/(.+)": _Handler.store,
    f"POST {_KIND}/commit/(.+)": _Handler.commit,
    f"GET {_KIND}": _Handler.info,
    f"GET {_KIND}/revision/(.+)": _Handler.info,
    f"GET {_KIND}/tree/([^/]+)": _Handler.tree,
    f"GET|HEAD /{_ID}/resolve/([^/]+)/(.+)": _Handler.resolve,
    f"GET /api/v1/models/{_ID}/repo/files": _Handler.scope_files,
    f"GET /api/v1/models/{_ID}/repo": _Handler.scope_file,
}
