"""A small real HTTP server with /v1/completions over the embedded engine, in a thread of this process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI, Request, Response

from proctor.rl.rollouts.core import Sampling
from proctor.rl.rollouts.local import LocalEngine


class CompletionServer:
    """Samples from `model`; `trouble` are status codes that the next requests are turned away with."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.engine = LocalEngine(model)
        self.trouble: list[int] = []
        self.requests: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.gives_token_ids = True
        self.lock = threading.Lock()
        self.app = FastAPI()
        self.app.get("/v1/models")(lambda: {"data": [{"id": "toy"}]})
        self.app.post("/v1/completions")(self.complete)

    async def complete(self, request: Request, response: Response) -> dict[str, Any]:
        body = await request.json()
        with self.lock:
            self.requests.append(body)
            self.keys.add(request.headers.get("Authorization"))
            if self.trouble:
                response.status_code = self.trouble.pop(0)
                return {"error": "busy"}
            return {"choices": self._choices(body)}

    def _choices(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        sampling = Sampling(
            num_samples=body["n"],
            max_new_tokens=body["max_tokens"],
            temperature=body["temperature"],
            end_ids=tuple(body["stop_token_ids"]),
            seed=body["seed"],
        )
        found = self.engine.generate([body["prompt"]], sampling)
        return [
            {
                "index": index,
                "logprobs": {"token_logprobs": each.logprobs, "tokens": ["?"] * len(each.token_ids)},
                **({"token_ids": each.token_ids} if self.gives_token_ids else {}),
            }
            for index, each in enumerate(found)
        ]


@contextmanager
def serving(server: CompletionServer) -> Iterator[str]:
    """The server's address, while inside."""
    uvicorn_server = uvicorn.Server(uvicorn.Config(server.app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=uvicorn_server.run)
    thread.start()
    try:
        while not uvicorn_server.started:
            time.sleep(0.01)
        port = uvicorn_server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        uvicorn_server.should_exit = True
        thread.join()
