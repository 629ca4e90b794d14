"""A server with the requests, checks and answers of vLLM's completions API, which computes with the
model folder through transformers: what vLLM refuses is refused, too."""

import base64
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

KNOWN = {
    "model",
    "prompt_embeds",
    "temperature",
    "min_p",
    "seed",
    "repetition_penalty",
    "max_tokens",
    "stop_token_ids",
    "stream",
    "logprobs",
    "logprob_token_ids",
    "return_tokens_as_token_ids",
}
MOST_IDS, MOST_PROMPTS = 128, 1024


class RefusedError(Exception):
    """Answered by HTTP 400."""


class Lookalike(ThreadingHTTPServer):
    """Serves one model folder on a free port of this machine."""

    daemon_threads = True

    def __init__(self, folder: Path, key: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.key = folder, key
        self.llm: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.stored = AutoConfig.from_pretrained(folder).dtype or torch.float32
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.requests: list[dict[str, Any]] = []  # all that were asked
        self.broken: bytes | None = None  # what is answered in place of an answer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def prompts(self, asked: dict[str, Any]) -> list[torch.Tensor]:
        given = asked.get("prompt_embeds")
        drawn = asked.get("seed") is not None  # here it decodes greedily all the same
        if (asked.get("temperature"), asked.get("repetition_penalty")) != (float(drawn), 1.0):
            raise RefusedError("this server decodes greedily or by a seed, without a penalty")
        if not given or len(given) > MOST_PROMPTS:
            raise RefusedError("Either prompt or prompt_embeds must be provided and non-empty.")
        found = []
        for text in given:
            raw = io.BytesIO(base64.b64decode(text, validate=True))
            tensor = torch.load(raw, weights_only=True, map_location="cpu")
            if tensor.dim() != 2 or tensor.shape[1] != self.llm.config.hidden_size:
                raise RefusedError(f"`prompt_embeds` has the shape {tuple(tensor.shape)}.")
            if tensor.dtype != self.stored:
                raise RefusedError(f"`prompt_embeds` is {tensor.dtype}, not {self.stored}.")
            if tensor.untyped_storage().nbytes() != tensor.numel() * tensor.element_size():
                raise RefusedError("more was sent than the tensor holds")
            found.append(tensor.float())
        return found

    @torch.inference_mode()
    def complete(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """One token for each prompt."""
        ids = asked.get("logprob_token_ids")
        if ids and asked.get("logprobs") is None:
            raise RefusedError("when using `logprob_token_ids`, `logprobs` must be set.")
        if ids is not None and not 0 < len(ids) <= MOST_IDS:
            raise RefusedError("too many `logprob_token_ids`")
        choices = []
        for i, prompt in enumerate(self.prompts(asked)):
            logs = self.llm(inputs_embeds=prompt[None]).logits[0, -1].log_softmax(-1)
            best = int(logs.argmax())
            name = "token_id:{}" if asked.get("return_tokens_as_token_ids") else "{}"
            # the sampled token comes first, then no more than `logprobs` of the others
            top = {
                name.format(id): float(logs[id])
                for id in [best, *(ids or [])][: asked["logprobs"] + 1]
            }
            choices.append(
                {
                    "index": i,
                    "text": self.tokenizer.decode([best]),
                    "logprobs": {
                        "tokens": [name.format(best)],
                        "token_logprobs": [float(logs[best])],
                        "top_logprobs": [top],
                        "text_offset": [0],
                    },
                    "finish_reason": "length",
                }
            )
        return choices[::-1]  # the index says which is which

    @torch.inference_mode()
    def stream(self, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        (prompt,) = self.prompts(asked)
        ids: list[int] = []
        said, embeds = "", prompt[None]
        table = self.llm.get_input_embeddings()
        while len(ids) < asked["max_tokens"]:
            best = int(self.llm(inputs_embeds=embeds).logits[0, -1].argmax())
            if best in asked["stop_token_ids"]:
                break
            ids.append(best)
            embeds = torch.cat([embeds, table(torch.tensor([[best]]))], 1)
            whole = self.tokenizer.decode(ids, skip_special_tokens=True)
            if not whole.endswith("\ufffd"):
                yield {"index": 0, "text": whole[len(said) :], "finish_reason": None}
                said = whole
        whole = self.tokenizer.decode(ids, skip_special_tokens=True)
        yield {"index": 0, "text": whole[len(said) :], "finish_reason": "stop"}


class _Handler(BaseHTTPRequestHandler):
    server: Lookalike

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            self._answer(404, {"detail": "Not Found"})
        elif self._known():
            data = [{"id": str(self.server.folder), "object": "model"}]
            self._answer(200, {"object": "list", "data": data})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(asked)
        if not self._known():
            return
        try:
            if unknown := set(asked) - KNOWN:
                raise RefusedError(f"unknown fields {unknown}")
            if self.path != "/v1/completions" or asked["model"] != str(self.server.folder):
                self._answer(404, {"error": {"message": "The model does not exist."}})
            elif asked.get("stream"):
                self._stream(asked)
            else:
                self._answer(200, {"object": "text_completion", "choices": self._choices(asked)})
        except RefusedError as error:
            self._answer(400, {"error": {"message": str(error), "code": 400}})

    def _choices(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        return self.server.complete(asked)

    def _stream(self, asked: dict[str, Any]) -> None:
        first = next(events := self.server.stream(asked))  # refuses before the answer begins
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.end_headers()
        for event in (first, *events):
            self.wfile.write(f"data: {json.dumps({'choices': [event]})}\n\n".encode())
            self.wfile.flush()
            if self.server.broken:
                self.wfile.write(self.server.broken)
                return
        self.wfile.write(b"data: [DONE]\n\n")

    def _known(self) -> bool:
        key = self.server.key
        if key and self.headers.get("Authorization") != f"Bearer {key}":
            self._answer(401, {"error": {"message": "Unauthorized"}})
            return False
        return True

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        if self.server.broken and status == 200:
            data = self.server.broken
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing is written to the terminal."""


@contextmanager
def serving(folder: Path, key: str = "") -> Iterator[Lookalike]:
    """A running server of a model folder."""
    server = Lookalike(folder, key)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
