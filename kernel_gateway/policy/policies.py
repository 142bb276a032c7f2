"""The set of policies in force: read from files, checked as a whole, exchanged in one step or not at all."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from catalog import Catalog
from kernel_gateway.policy import golden, literals
from kernel_gateway.policy.authorizer import CedarAuthorizer
from kernel_gateway.policy.request import Decision, Request
from kernel_gateway.policy.rule_set import RuleSet
from kernel_gateway.policy.rules import PolicyError, Rule, baseline, parse
from kernel_gateway.policy.settings import PolicySettings


@dataclass(frozen=True, slots=True)
class Source:
    """What a set is made from. `texts` are the operator's files by path, in their order."""

    settings: PolicySettings
    texts: Mapping[str, str]

    @classmethod
    def read(cls, settings: PolicySettings) -> "Source":
        """Raises PolicyError for a file that cannot be read."""
        return cls(settings, {str(path): _text(path) for path in settings.files})

    @property
    def digest(self) -> str:
        """Of the files and settings as they were written, whether they can be used or not."""
        content = [self.settings.model_dump_json(), *(part for each in self.texts.items() for part in each)]
        return hashlib.sha256("\0".join(content).encode(errors="surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Compiler:
    """Makes an authorizer of a source. The two caps are those of `[limits]`, `secret` draws the canary's share, `roles`
    are those of roles.toml."""

    catalog: Catalog
    calls_per_cell: int
    calls_per_session: int
    secret: bytes
    roles: Collection[str] | None = None

    def compile(self, source: Source) -> CedarAuthorizer:
        """Raises PolicyError for what the schema, the golden decisions or the catalog do not bear."""
        rules = RuleSet((*baseline(), *operator_rules(source.texts)))
        authorizer = CedarAuthorizer(
            rules,
            source.settings,
            self.catalog,
            calls_per_cell=self.calls_per_cell,
            calls_per_session=self.calls_per_session,
            secret=self.secret,
        )
        literals.check(rules.rules, self.catalog, self.roles)
        golden.check(rules, golden.table())
        return authorizer


class Policies:
    """An Authorizer whose rules can change while it runs. Raises PolicyError where the first source cannot be used."""

    def __init__(self, compiler: Compiler, source: Source) -> None:
        self._compiler, self.source = compiler, source
        self.current = compiler.compile(source)

    def __repr__(self) -> str:
        return f"<Policies {self.current!r}>"

    @property
    def digest(self) -> str:
        return self.current.digest

    def decide(self, request: Request) -> Decision:
        return self.current.decide(request)

    def use(self, source: Source) -> None:
        """From here on decisions are those of `source`. Raises PolicyError, and then nothing has changed."""
        self.current, self.source = self._compiler.compile(source), source


def operator_rules(texts: Mapping[str, str]) -> tuple[Rule, ...]:
    return tuple(rule for path, text in texts.items() for rule in parse(text, path))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise PolicyError(f"cannot read `{path}`: {error.strerror}; see `policy.files`") from error
    except UnicodeDecodeError as error:
        raise PolicyError(f"`{path}` is not UTF-8") from error
