"""The command line. Errors are one line on stderr: exit 2 for usage, 1 for everything else."""

import argparse
import asyncio
import importlib.metadata
import re
import resource
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import catalog.__main__ as catalog_commands
from kernel_gateway import __version__, auditing, commands, key_commands, operating, policy_commands, replaying
from kernel_gateway.audit import logs
from kernel_gateway.audit.observation_settings import LogSettings
from kernel_gateway.config import environment, load
from kernel_gateway.errors import ConfigError, GatewayError
from kernel_gateway.frontends.rest import SESSION_ID
from kernel_gateway.gateway import SCOPES
from kernel_gateway.policy.entities import RISKS
from kernel_gateway.reference.issuer import MAX_TOKEN_SECONDS
from kernel_gateway.settings import Settings

RIVAL = "jupyter-kernel-gateway"
_Commands = Any  # argparse names the type of its subparsers privately


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script. Returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["catalog"]:
        return catalog_commands.main(given[1:], prog="kernel-gateway catalog")
    try:
        options = _parser().parse_args(given)
    except _UsageError as error:
        return _fail(str(error), 2)
    if (warning := rival()) is not None:
        print(warning, file=sys.stderr)
        return 1
    _prepare_process()
    logs.configure(LogSettings(), sys.stderr)  # until the settings are read
    warnings.simplefilter("ignore" if options.quiet_world else "default")
    try:
        flags = {"server.host": getattr(options, "host", None), "server.port": getattr(options, "port", None)}
        settings = Settings.of(load(options.config, environment(), flags))
        logs.configure(settings.logs, sys.stderr)
        code: int = asyncio.run(options.run(settings, options))
    except (ConfigError, GatewayError, BaseExceptionGroup) as error:
        if (said := anticipated(error)) is None:
            raise
        return _fail(said, 1)
    except KeyboardInterrupt:
        return 130
    return code


def anticipated(error: BaseException) -> str | None:
    """What to say of a failure that task groups may have wrapped; None where there is a crash among it."""
    if isinstance(error, BaseExceptionGroup) and error.split((ConfigError, GatewayError))[1] is not None:
        return None
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


def _prepare_process() -> None:
    """As many descriptors as the host allows, for a session takes a dozen; no core file, for it would hold tokens."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def rival() -> str | None:
    """The line to say where another distribution has put files into our package."""
    try:
        importlib.metadata.distribution(RIVAL)
    except importlib.metadata.PackageNotFoundError:
        return None
    return (
        f"kernel-gateway: `{RIVAL}` is installed here too and owns the same package name, `kernel_gateway`; "
        f"use an environment of its own: `pip uninstall {RIVAL}`, then install this again"
    )


class _UsageError(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message}; see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="kernel-gateway", description="Sandboxed IPython sessions for agents.")
    parser.add_argument("--version", action="version", version=__version__)
    parser.set_defaults(quiet_world=False)
    every = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: commands.Command, text: str, among: _Commands = every) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = among.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        added.add_argument("--config", type=Path, metavar="FILE", help="the TOML file with the settings")
        added.set_defaults(run=run)
        return added

    def unsafe(added: argparse.ArgumentParser) -> None:
        text = "do not insist on a sandbox that holds; allows kernels.launcher none; shown in every answer"
        added.add_argument("--unsafe", action="store_true", help=text)

    def port(added: argparse.ArgumentParser) -> None:
        added.add_argument(
            "--port", type=_port, metavar="PORT", help="where to listen, 0 for any free one; default: server.port, 8888"
        )

    serve = command("serve", commands.serve, "run the service; refuses to start where its sandbox does not hold")
    serve.add_argument("--host", metavar="HOST", help="where to listen; default: server.host, 127.0.0.1")
    port(serve)
    unsafe(serve)
    demo = command("demo", commands.demo, "run the service with a world of its own, and the Image Ops flow through it")
    demo.add_argument("--once", action="store_true", help="exit after the flow; 0 only if every step held")
    demo.add_argument("--json", action="store_true", help="one object per step, then one that says how to connect")
    port(demo)
    unsafe(demo)
    demo.set_defaults(quiet_world=True)
    text = "serve MCP on stdio, with a world of its own unless upstreams are configured"
    mcp = command("mcp", commands.mcp, text)
    unsafe(mcp)
    mcp.set_defaults(quiet_world=True)
    check = command("check", commands.check, "show what isolation this host gives, then try every named attack")
    unsafe(check)
    check.add_argument("--json", action="store_true", help="one object per finding")
    token = command("token", commands.token, "mint a token of the reference issuer (development only)")
    token.add_argument("--subject", required=True, type=_words, metavar="NAME", help="whom it stands for")
    token.add_argument("--scope", required=True, type=_words, metavar='"A B"', help="what it allows, space separated")
    token.add_argument("--role", default="dev", type=_words, metavar="ROLE", help="dev by default")
    token.add_argument("--org", default="acme", type=_words, metavar="NAME", help="the organisation, acme by default")
    text = "the program it was given to, agent by default; who approves for others uses one that runs no cells"
    token.add_argument("--client", default="agent", type=_words, metavar="NAME", help=text)
    token.add_argument(
        "--ttl", default=3600, type=_ttl, metavar="SECONDS", help="how long it lives: 3600 by default, 30 days at most"
    )
    _add_operating(every, command)
    policy = every.add_parser("policy", help="show what is in force, check a file, explain which rule decides")
    each = policy.add_subparsers(required=True, metavar="COMMAND", help="show, check or explain")
    show = command("show", policy_commands.show, "say which rollout phase and which set of rules are in force", each)
    show.add_argument("--json", action="store_true", help="one object for each gateway")
    check = command("check", policy_commands.check, "try policies as the service would take them", each)
    check.add_argument("files", nargs="*", type=Path, metavar="FILE", help="beside those of policy.files")
    explain = command("explain", policy_commands.explain, "say which rule decides a question, and why", each)
    explain.add_argument("--subject", required=True, type=_words, metavar="NAME", help="who asks")
    text = f"an operation's id, or an action of the service: {', '.join(SCOPES)}"
    explain.add_argument("--operation", required=True, type=_words, metavar="ID", help=text)
    explain.add_argument("--role", default="dev", metavar="ROLE", help="dev by default")
    explain.add_argument("--org", default="acme", metavar="NAME", help="the organisation, acme by default")
    explain.add_argument("--client", default="agent", metavar="NAME", help="agent by default")
    explain.add_argument("--scope", metavar='"A B"', help="what the token carries; by default just what is needed")
    explain.add_argument("--risk", choices=tuple(RISKS), help="by default the operation's own")
    explain.add_argument("--approved", action="store_true", help="as if everybody who has to had said yes")
    explain.add_argument("--json", action="store_true", help="one object")
    command("config", commands.config, "print the effective settings, secrets masked")
    audit = every.add_parser("audit", help="verify the ledger, export its signed head, erase a person from it")
    _audit(command, audit.add_subparsers(required=True, metavar="COMMAND", help="which of these"))
    keys = every.add_parser("keys", help="change the key that wraps the keys of sessions")
    verbs = keys.add_subparsers(required=True, metavar="COMMAND", help="rotate")
    command("rotate", key_commands.rotate, "wrap every stored key by a new one; the service must not run", verbs)
    every.add_parser("catalog", help="search, lint, show or review the operations", add_help=False)
    return parser


def _add_operating(every: _Commands, command: Callable[..., argparse.ArgumentParser]) -> None:
    """The commands for a gateway that runs."""
    switch = command("switch", operating.switch, "switch cells off or on, at once and until it is said otherwise")
    switch.add_argument("what", type=_execute, metavar="execute", help="what is switched: the execution of cells")
    switch.add_argument("state", nargs="?", choices=("on", "off"), help="without it: show what is off")
    part = switch.add_mutually_exclusive_group()
    part.add_argument("--server", metavar="NAME", help="calls to this server alone")
    part.add_argument("--operation", metavar="ID", help="calls of this operation alone, such as image_ops:jobs_create")
    part.add_argument("--role", metavar="NAME", help="callers in this role alone")
    part.add_argument("--front-end", metavar="NAME", help="one way in alone: mcp, stdio or rest")
    switch.add_argument("--reason", default="", metavar="TEXT", help="one line that whoever is refused reads")
    sessions = every.add_parser(
        "sessions", help="list, show or export the sessions of a gateway that runs, replay a notebook"
    )
    verbs = sessions.add_subparsers(required=True, metavar="VERB", help="what to do with them")
    listed = command("list", operating.sessions_list, "list everybody's open sessions", among=verbs)
    shown = command("show", operating.sessions_show, "show one session and its transcript", among=verbs)
    shown.add_argument("id", metavar="ID", type=_listed_id, help="as `sessions list` shows it")
    forked = command("fork", operating.sessions_fork, "open a session that goes on after a cell of one", among=verbs)
    forked.add_argument("id", metavar="ID", type=_listed_id, help="as `sessions list` shows it")
    forked.add_argument("--at", required=True, type=int, metavar="N", help="the number of that cell")
    exported = command("export", operating.sessions_export, "write one open session as a notebook", among=verbs)
    exported.add_argument("id", metavar="ID", type=_listed_id, help="as `sessions list` shows it")
    exported.add_argument(
        "-o", "--output", required=True, type=Path, metavar="F.ipynb", help="a file that is not there"
    )
    replayed = command("replay", replaying.sessions_replay, "run a notebook again, and say what differs", among=verbs)
    replayed.add_argument("file", type=Path, metavar="F.ipynb", help="an exported session, or any other notebook")
    how = replayed.add_mutually_exclusive_group()
    how.add_argument("--live", action="store_true", help="make its calls again; nothing is done twice")
    how.add_argument("--recorded", dest="live", action="store_false", help="answer its calls from the record (default)")
    approvals = every.add_parser("approvals", help="answer what waits for another person, of callers on stdio")
    verbs = approvals.add_subparsers(required=True, metavar="VERB", help="list, approve or deny")
    waiting = command("list", operating.approvals_list, "show what waits: the question and the code", among=verbs)
    decided = []
    for verb in ("approve", "deny"):
        decided.append(command(verb, operating.approvals_decide, f"{verb} one of them", among=verbs))
        decided[-1].add_argument("id", metavar="ID", type=_listed_id, help="as `approvals list` shows it")
        decided[-1].set_defaults(decision=verb)
    for each in (switch, listed, shown, exported, replayed, waiting, *decided):
        each.add_argument("--json", action="store_true", help="one object, for programs")


def _execute(text: str) -> str:
    if text != "execute":
        said = f"execute {text}" if text in ("on", "off") else "execute off"
        raise argparse.ArgumentTypeError(f"say what is switched: `kernel-gateway switch {said}`")
    return text


def _listed_id(text: str) -> str:
    if not re.fullmatch(SESSION_ID, text):
        raise argparse.ArgumentTypeError("must be an id as it is listed, such as ses_0123")
    return text


def _audit(command: Callable[..., argparse.ArgumentParser], among: _Commands) -> None:
    verify = command("verify", auditing.verify, "name the first record that is not as it was written", among)
    verify.add_argument("--head", type=Path, metavar="FILE", help="an exported head: are its records still there?")
    verify.add_argument("--public-key", type=Path, metavar="FILE", help="only whether that head is signed by this key")
    verify.add_argument("--json", action="store_true", help="one object")
    head = command("head", auditing.head, "print a signed head, to be kept elsewhere", among)
    head.add_argument("--public-key", action="store_true", help="print the key that anybody can check heads with")
    erase = command("erase", auditing.erase, "forget who a person was in every record", among)
    erase.add_argument("--subject", required=True, type=_words, metavar="NAME", help="the subject of their tokens")
    erase.add_argument("--org", required=True, type=_words, metavar="NAME", help="their organisation")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"`{text}` is not a port, 0 to 65535")
    return int(text)


def _ttl(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_TOKEN_SECONDS:
        raise argparse.ArgumentTypeError(f"`{text}` is not 1 to {MAX_TOKEN_SECONDS} seconds (30 days)")
    return int(text)


def _words(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text.strip()


def _fail(message: str, code: int) -> int:
    print(f"kernel-gateway: {' '.join(message.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
