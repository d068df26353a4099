"""The rollout engine `server`: an OpenAI-compatible `/v1/completions` elsewhere, tokens in and out.

The server must give token ids back: vLLM does for `return_token_ids`, and others that spell tokens as
"token_id:17" are understood too. Two more things are the server's to set: log-probs must be taken at the
sampling temperature (`vllm serve --logprobs-mode processed_logprobs`; without it they are right at
temperature 1 only), and weights reach it by a hook of yours, for there is no agreed protocol for that.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import httpx
from torch import nn

from proctor.rl.rollouts.core import Completion, EngineError, Ready, Sampling, prompt_seed
from proctor.sft.config import ConfigError

WeightHook = Callable[[nn.Module, str], None]  # (policy, server's address): returns when the server has it

_BACKOFF_S = (0.25, 20.0)  # the first wait and the longest; doubled each time, with jitter
_SPELLED = "token_id:"  # how vLLM writes a token for return_tokens_as_token_ids


class ServerError(EngineError):
    """The server cannot be used: it refused, it was not there for long, or its answer lacks what we need."""


class ServerEngine:
    """Samples from a server, many requests in flight. The completions of a prompt are one request."""

    def __init__(
        self,
        url: str,
        *,
        model: str = "",
        api_key: str = "",
        hook: WeightHook | None = None,
        concurrency: int = 64,
        attempts: int = 6,
        timeout_s: float = 600.0,
    ) -> None:
        """Connects to nothing yet.

        Args:
            url: the server, with or without `/v1`.
            model: the name that it serves; empty: the first that it lists.
            hook: what brings it new weights; without one `sync` refuses.
            attempts: tries of one request, of those that a later try can mend (429, 5xx, timeouts).
            timeout_s: of one try.
        """
        self.url = url.rstrip("/").removesuffix("/v1")
        self.model = model
        self.hook = hook
        self.attempts = attempts
        self._concurrency, self._timeout_s = concurrency, timeout_s
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, ready: Ready | None = None
    ) -> list[Completion]:
        """`sampling.num_samples` completions for each prompt, prompts in order. Raises ServerError."""
        # A thread of its own: the caller may be inside an event loop, a notebook's for one.
        with ThreadPoolExecutor(1, thread_name_prefix="server-engine") as thread:
            return thread.submit(asyncio.run, self._generate(prompts, sampling, ready)).result()

    def sync(self, model: nn.Module) -> None:
        """Has the hook bring the policy's weights to the server. Raises ServerError without one."""
        if self.hook is None:
            raise ServerError(
                f"training cannot bring its weights to {self.url}: set rollouts.server_sync to the dotted "
                "name of a function (policy, url) that does, or use another engine"
            )
        self.hook(model, self.url)

    async def _generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, ready: Ready | None
    ) -> list[Completion]:
        limits = httpx.Limits(max_connections=self._concurrency)
        gate = asyncio.Semaphore(self._concurrency)
        options: dict[str, Any] = {"limits": limits, "timeout": self._timeout_s, "headers": self._headers}
        async with httpx.AsyncClient(**options) as client:
            if not self.model:
                self.model = _first_model(await self._ask(client, "GET", "/v1/models", None), self.url)

            async def complete(index: int) -> list[Completion]:
                async with gate:
                    request = self._request(prompts[index], sampling, index)
                    answer = await self._ask(client, "POST", "/v1/completions", request)
                completions = _completions(tuple(prompts[index]), answer, sampling, self.url)
                if ready is not None:
                    ready(index, completions)
                return completions

            tasks = [asyncio.ensure_future(complete(index)) for index in range(len(prompts))]
            try:
                found = await asyncio.gather(*tasks)
            finally:  # after an error the others would go on asking
                for task in tasks:
                    task.cancel()
        return [completion for completions in found for completion in completions]

    def _request(self, prompt: Sequence[int], sampling: Sampling, index: int) -> dict[str, Any]:
        return {
            "model": self.model,
            "prompt": list(prompt),
            "n": sampling.num_samples,
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            # A model's own generation config must not bend the distribution: vLLM takes from it what is not given.
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "seed": prompt_seed(sampling.seed, index),
            "stop_token_ids": list(sampling.end_ids),
            "ignore_eos": True,  # only the end tokens that we name end a completion
            "logprobs": 0,
            "return_token_ids": True,
            "skip_special_tokens": False,
        }

    async def _ask(
        self, client: httpx.AsyncClient, method: str, path: str, body: Mapping[str, Any] | None
    ) -> Any:
        wait = _BACKOFF_S[0]
        for attempt in range(1, self.attempts + 1):
            try:
                response = await client.request(method, self.url + path, json=body)
                if response.status_code < 400:
                    return response.json()
                problem = f"status {response.status_code}: {response.text[:300]}"
                if response.status_code != 429 and response.status_code < 500:
                    raise ServerError(f"{self.url}{path} refused the request with {problem}")
            except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
                raise ServerError(f"'{self.url}' is no address, such as http://host:8000: {error}") from error
            except httpx.TransportError as error:  # timeouts, refused and broken connections
                problem = f"{type(error).__name__}: {error}"
            except ValueError as error:
                raise ServerError(f"{self.url}{path} answered with something that is not JSON") from error
            if attempt < self.attempts:
                await asyncio.sleep(wait * random.uniform(0.5, 1.5))
                wait = min(2 * wait, _BACKOFF_S[1])
        raise ServerError(f"{self.url}{path} gave nothing in {self.attempts} tries, the last: {problem}")


def find_hook(name: str) -> WeightHook:
    """The function of a dotted name, 'package.module.function'. Raises ConfigError where there is none."""
    module, _, function = name.rpartition(".")
    try:
        hook: WeightHook = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"rollouts.server_sync: there is no function '{name}': {error}") from error
    return hook


def _first_model(answer: Any, url: str) -> str:
    try:
        return str(answer["data"][0]["id"])
    except (KeyError, IndexError, TypeError) as error:
        raise ServerError(f"{url}/v1/models lists no model; name one with model = ...") from error


def _completions(prompt: tuple[int, ...], answer: Any, sampling: Sampling, url: str) -> list[Completion]:
    try:
        choices = sorted(answer["choices"], key=lambda choice: choice["index"])
        found = [_completion(prompt, choice, sampling) for choice in choices]
    except (KeyError, TypeError, ValueError) as error:
        raise ServerError(
            f"{url}/v1/completions answered without token ids or log-probs ({error!r}); it must "
            "understand logprobs and return_token_ids, as vLLM does"
        ) from error
    if len(found) != sampling.num_samples:
        raise ServerError(f"{url} gave {len(found)} completions where {sampling.num_samples} were asked for")
    return found


def _completion(prompt: tuple[int, ...], choice: Mapping[str, Any], sampling: Sampling) -> Completion:
    logprobs = choice["logprobs"]
    token_ids = choice.get("token_ids")
    if token_ids is None:
        if not all(token.startswith(_SPELLED) for token in logprobs["tokens"]):
            raise ValueError("no token_ids")
        token_ids = [int(token.removeprefix(_SPELLED)) for token in logprobs["tokens"]]
    values = tuple(float(value) for value in logprobs["token_logprobs"])
    if len(values) != len(token_ids) or not values:
        raise ValueError(f"{len(token_ids)} tokens with {len(values)} log-probs")
    ended = bool(token_ids) and token_ids[-1] in sampling.end_ids
    return Completion(prompt, tuple(token_ids), values, is_truncated=not ended)
