"""A real HTTP upstream that counts what it did, and kills whoever calls it at a named moment.

The base URL of a caller is `URL/PID/MOMENT`. A moment is one of the upstream's own ("it received", "it did", "it
answered"), alone or followed by what is to be done, or anything else. `done` counts what it did, whatever it answered.
"""

import json
import os
import signal
from collections import Counter
from contextlib import asynccontextmanager

import tornado.web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

KEY = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 255}}


def _operation(name, parameters):
    answer = {"type": "object", "required": ["number"], "properties": {"number": {"type": "integer"}}}
    return {
        "post": {
            "operationId": name,
            "x-effect": "write",
            "summary": f"{name} one thing",
            "description": "Counts.",
            "security": [{"oauth": ["counts.write"]}],
            "parameters": parameters,
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["what"],
                            "additionalProperties": False,
                            "properties": {"what": {"type": "string"}},
                        }
                    }
                },
            },
            "responses": {"200": {"description": "done", "content": {"application/json": {"schema": answer}}}},
        }
    }


DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Counting", "version": "1", "description": "Counts what it did."},
    "paths": {"/keyed": _operation("keyed", [KEY]), "/keyless": _operation("keyless", [])},
}


class Counting:
    def __init__(self, port):
        self.url, self.done, self._answers = f"http://127.0.0.1:{port}", Counter(), {}

    def do(self, what, key):
        """(the answer, whether it is an earlier one)"""
        if key is not None and key in self._answers:
            return self._answers[key], True
        self.done[what] += 1
        self._answers[key] = answer = {"number": sum(self.done.values())}
        return answer, False


@asynccontextmanager
async def counting():
    sockets = bind_sockets(0, "127.0.0.1")
    world = Counting(sockets[0].getsockname()[1])

    class Handler(tornado.web.RequestHandler):
        async def post(self, pid, moment, operation):
            what = json.loads(self.request.body)["what"]

            def reached(name):
                if is_now := moment in (name, f"{name} {what}"):
                    os.kill(int(pid), signal.SIGKILL)
                return is_now

            if reached("it received"):
                return
            key = self.request.headers.get("Idempotency-Key") if operation == "keyed" else None
            answer, replayed = world.do(what, key)
            reached("it did")
            if replayed:
                self.set_header("Idempotency-Replayed", "true")
            self.write(answer)
            try:
                await self.finish()
            except tornado.iostream.StreamClosedError:
                return
            reached("it answered")

    server = HTTPServer(tornado.web.Application([(r"/(\d+)/([^/]+)/(\w+)", Handler)], log_function=lambda _: None))
    server.add_sockets(sockets)
    try:
        yield world
    finally:
        server.stop()
        await server.close_all_connections()
