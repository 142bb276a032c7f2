"""`kernel-gateway policy`: what is in force, whether a file can be used, and which rule decides a question, and why."""

import argparse
import json
import time

import httpx2

from kernel_gateway.explaining import Asked, Explainer
from kernel_gateway.frontends.admin import EXPLAIN, POLICY
from kernel_gateway.limits.switch import Switch
from kernel_gateway.limits.switch_file import SwitchFile
from kernel_gateway.operating import NoGatewayError, ask
from kernel_gateway.policy import golden
from kernel_gateway.policy.authorizer import CedarAuthorizer
from kernel_gateway.policy.policies import Source
from kernel_gateway.policy.settings import PolicySettings
from kernel_gateway.served import Served, compiler_of
from kernel_gateway.settings import Settings
from kernel_gateway.store.keys import Keys


async def show(settings: Settings, options: argparse.Namespace) -> int:
    """Of every gateway of the state folder. Raises NoGatewayError."""
    answers = await ask(settings, "GET", POLICY)
    for each in answers:
        names = "".join(f", {name}" for name in each["files"])
        said = f"rollout {each['rollout']}, policy {each['policy'][:12]}: {each['rules']} rules of the baseline{names}"
        print(json.dumps(each) if options.json else "\n".join([said, *each["notices"]]))
    return 0


async def check(settings: Settings, options: argparse.Namespace) -> int:
    """The files given, beside those that are configured, as `serve` would take them. Raises PolicyError."""
    files = list(dict.fromkeys((*settings.policy.files, *options.files)))
    policy = settings.policy.model_copy(update={"files": tuple(files)})
    authorizer = _authorizer(settings, Served.of(settings), policy, secret=b"")
    print(
        f"ok: {len(authorizer.rules.rules)} rules, the baseline and {len(files)} of your files, "
        f"and all {len(golden.table())} golden decisions hold; policy {authorizer.digest[:12]}"
    )
    return 0


async def explain(settings: Settings, options: argparse.Namespace) -> int:
    """As the gateway that runs decides; where none does, with the policy as it is on disk."""
    asked = Asked(
        subject=options.subject,
        operation=options.operation,
        role=options.role,
        organisation=options.org,
        client=options.client,
        scope=options.scope,
        risk=options.risk,
        approved=options.approved,
    )
    try:
        (answer, *_) = await ask(settings, "POST", EXPLAIN, asked.model_dump(exclude_none=True))
    except NoGatewayError:
        answer = _on_disk(settings).explain(asked)
        answer["told"].append("  no gateway runs on the state folder: this is the policy as it is on disk")
    print(json.dumps(answer) if options.json else "\n".join(answer["told"]))
    return 0


def _on_disk(settings: Settings) -> Explainer:
    """Writes nothing, but for the secret that draws a canary's share, which the service will use."""
    served, folder = Served.of(settings), settings.store.folder
    secret = Keys(settings.store.keys).secret("canary") if settings.policy.rollout == "canary" else b""
    authorizer = _authorizer(settings, served, settings.policy, secret=secret)
    hosts = {name: httpx2.URL(each.base_url).netloc.decode() for name, each in settings.upstreams.items()}
    switch = Switch(SwitchFile(folder), 1.0, time.time) if (folder / "switch.json").exists() else None
    return Explainer(served.catalog, served.roles, lambda: authorizer, hosts, switch)


def _authorizer(settings: Settings, served: Served, policy: PolicySettings, *, secret: bytes) -> CedarAuthorizer:
    return compiler_of(served, settings.limits, secret).compile(Source.read(policy))
