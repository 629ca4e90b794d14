"""A vLLM server that computes the LLM's layers: the requests to it and its answers.

Requests go to `/v1/completions` of its OpenAI-compatible API, with embeddings in the place of a
prompt (`vllm serve MODEL --enable-prompt-embeds`). The fields are those of vLLM 0.30; its
`prompt_logprobs` are refused together with embeddings, so classes are scored by the tokens that
come next. docs/scaling.md says how to run one and whom to let reach it.

Shapes: L tokens, H LLM width, N prompts, K token ids.
"""

import base64
import io
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import torch
from torch import Tensor

from audiollm.contracts.plain_json import parse_json
from audiollm.errors import ModelError
from audiollm.model.generation import LEAST

PROMPTS = 64  # of one request
IDS = 128  # the most that vLLM gives log-probabilities of
CONNECT, ANSWER = 5.0, 120.0  # s
SHOWN = 200  # characters of a server's own message that are logged
LOG = logging.getLogger(__name__)


class Server:
    """A client of one server and of the first model that it serves; safe to share between threads.

    Raises:
        ModelError: nothing answers there, or it refuses; so do the methods. The URL and the
            server's own message are logged and in no sentence: visitors of the page read those.
    """

    def __init__(self, url: str, key: str, dtype: torch.dtype) -> None:
        """
        Args:
            url: with the version, such as `http://127.0.0.1:8000/v1`.
            key: of `vllm serve --api-key`; "" without one.
            dtype: that the model folder is stored in. The server refuses embeddings of another one.
        """
        self.url, self.dtype = url, dtype
        self._http = httpx.Client(
            base_url=url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(ANSWER, connect=CONNECT),
            trust_env=False,  # it is in a network of one's own, behind no proxy
        )
        self._model = self._served()

    def log_probabilities(self, prompts: Sequence[Tensor], ids: Sequence[int]) -> Tensor:
        """Of these ids as the next token of each prompt [L, H], over the vocabulary -> [N, K]."""
        rows = []
        for start in range(0, len(prompts), PROMPTS):
            part = prompts[start : start + PROMPTS]
            columns = [
                self._next(part, ids[first : first + IDS]) for first in range(0, len(ids), IDS)
            ]
            rows.append(torch.cat(columns, 1))
        return torch.cat(rows)

    def stream(self, prompt: Tensor, most: int, end: int, seed: int | None = None) -> Iterator[str]:
        """Pieces of the text that follows a prompt [L, H], up to the token `end` or `most` tokens:
        greedily, or drawn by a seed."""
        options: dict[str, Any] = {"max_tokens": most, "stop_token_ids": [end], "stream": True}
        if seed is not None:
            options |= {"temperature": 1.0, "min_p": LEAST, "seed": seed}
        body = self._request([prompt], **options)
        try:
            with self._http.stream("POST", "completions", json=body) as answer:
                if answer.is_error:
                    answer.read()
                    self._check(answer)
                for line in answer.iter_lines():
                    _, marker, data = line.partition("data:")
                    if not marker or data.strip() == "[DONE]":
                        continue
                    yield self._piece(data)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _piece(self, data: str) -> str:
        try:
            event = parse_json(data)
            if "error" in event:  # a failure after the answer has begun
                raise self._failed("engine_refused", _message(event))
            return "".join(choice["text"] for choice in event["choices"])
        except (ValueError, KeyError, TypeError) as error:
            raise self._unreadable() from error

    def _next(self, prompts: Sequence[Tensor], ids: Sequence[int]) -> Tensor:
        body = self._request(
            prompts,
            max_tokens=1,
            logprobs=len(ids),
            logprob_token_ids=list(ids),
            return_tokens_as_token_ids=True,
        )
        choices = self._post(body)
        try:
            tables = {c["index"]: c["logprobs"]["top_logprobs"][0] for c in choices}
            rows = [[tables[i][f"token_id:{id}"] for id in ids] for i in range(len(prompts))]
            return torch.tensor(rows, dtype=torch.float32)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise self._unreadable() from error

    def _request(self, prompts: Sequence[Tensor], **options: Any) -> dict[str, Any]:
        embeds = [_encoded(prompt.to(self.dtype)) for prompt in prompts]
        # else the server takes the penalty that the LLM's folder brings
        greedy = {"temperature": 0.0, "repetition_penalty": 1.0}
        return {"model": self._model, "prompt_embeds": embeds, **greedy, **options}

    def _post(self, body: dict[str, Any]) -> Any:
        try:
            answer = self._http.post("completions", json=body)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        return self._field(answer, "choices")

    def _served(self) -> str:
        try:
            answer = self._http.get("models")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error
        models = self._field(answer, "data")
        try:
            return str(models[0]["id"])
        except (KeyError, IndexError, TypeError) as error:
            raise self._unreadable() from error

    def _field(self, answer: httpx.Response, name: str) -> Any:
        self._check(answer)
        try:
            return answer.json()[name]
        except (ValueError, KeyError, TypeError) as error:
            raise self._unreadable() from error

    def _check(self, answer: httpx.Response) -> None:
        if not answer.is_success:
            try:
                reason = _message(answer.json())
            except (ValueError, AttributeError):
                reason = ""
            reason = f"HTTP {answer.status_code} {reason}".strip()
            raise self._failed("engine_refused", reason)

    def _unreachable(self, error: Exception) -> ModelError:
        return self._failed("engine_unreachable", str(error)[:SHOWN] or type(error).__name__)

    def _unreadable(self) -> ModelError:
        return self._failed("engine_unreadable", "no answer of the completions API")

    def _failed(self, code: str, reason: str) -> ModelError:
        LOG.warning("the vLLM server at %s: %s (%s)", self.url, code, reason)
        return ModelError(code)


def _encoded(tensor: Tensor) -> str:
    file = io.BytesIO()
    torch.save(tensor.detach().cpu().contiguous().clone(), file)  # a view would bring its whole
    return base64.b64encode(file.getvalue()).decode()


def _message(body: Any) -> str:
    """Of an error's body, in either form that vLLM has had."""
    error = body.get("error")
    return str(error.get("message", "") if isinstance(error, dict) else body.get("message", ""))[
        :SHOWN
    ]
