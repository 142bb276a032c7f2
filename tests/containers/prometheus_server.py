"""A real Prometheus for one test: Debian's, which `make dev` unpacks into build/prometheus."""

import asyncio
import math
import shutil
from pathlib import Path

import httpx2
import yaml

UNPACKED = Path(__file__).parents[2] / "build" / "prometheus" / "usr" / "bin"


def program(name):
    found = shutil.which(name, path=str(UNPACKED)) or shutil.which(name)
    assert found, f"no {name} here: run `make dev`, which unpacks it"
    return found


async def promtool(*arguments):
    """(exit code, output)"""
    process = await asyncio.create_subprocess_exec(
        program("promtool"), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


class Prometheus:
    """Scrapes `target` twice a second with `token`, and evaluates `rules` as often."""

    def __init__(self, folder, port, target, token, rules):
        self._folder, self._port, self._process = folder, port, None
        (folder / "token").write_text(token)
        job = {
            "job_name": "kernel-gateway",
            "authorization": {"credentials_file": str(folder / "token")},
            "static_configs": [{"targets": [target]}],
        }
        often = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
        configuration = {"global": often, "rule_files": [str(rules)], "scrape_configs": [job]}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        self._http = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}")

    async def start(self):
        self._process = await asyncio.create_subprocess_exec(
            program("prometheus"),
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            stderr=asyncio.subprocess.PIPE,
        )
        while b"ready to receive web requests" not in (line := await self._process.stderr.readline()):
            assert line, "Prometheus did not start"
        self._log = asyncio.create_task(self._process.stderr.read())

    async def stop(self):
        await self._http.aclose()
        self._process.kill()
        await self._process.wait()
        await self._log

    async def query(self, expr):
        """The values of an instant query. NaN is left out: it says that there is nothing to say."""
        answer = (await self._http.get("/api/v1/query", params={"query": expr})).json()
        assert answer["status"] == "success", (expr, answer)
        values = [float(each["value"][1]) for each in answer["data"]["result"]]
        return [value for value in values if not math.isnan(value)]

    async def rules(self):
        """name -> rule, as it was last evaluated."""
        answer = (await self._http.get("/api/v1/rules")).json()
        return {rule["name"]: rule for group in answer["data"]["groups"] for rule in group["rules"]}
