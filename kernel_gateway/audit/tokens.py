"""Secrets that are known by their own form: what their issuer puts in front of them.

The prefixes are public knowledge (the issuers print them so that scanners can find them). `X` stands for base62.
"""

import re
from collections.abc import Iterator

from kernel_gateway.audit.spans import EDGE, Rule, Rules, Span

# (label, prefix, what follows)
_DISTINCT = [
    ("github", "ghp_", "X{20,255}"),
    ("github", "gho_", "X{20,255}"),
    ("github", "ghu_", "X{20,255}"),
    ("github", "ghs_", r"[\w.-]{20,2000}"),
    ("github", "ghr_", "X{20,255}"),
    ("github", "github_pat_", r"\w{20,255}"),
    *(("gitlab", f"gl{kind}-", r"[\w.-]{16,300}") for kind in ("pat", "dt", "rt", "cbt", "ptt", "ft", "soat", "agent")),
    ("gitlab", "gr1348941", r"[\w-]{20}"),
    ("bitbucket", "atbb", "X{24,}"),
    ("atlassian", "atatt3", r"[\w=-]{60,}"),
    ("slack", "xapp-", r"[\w-]{20,}"),
    *(
        ("slack", f"xox{kind}", r"[\w.%-]{12,}")
        for kind in ("b-", "p-", "a-", "r-", "s-", "c-", "d-", "o-", "e-", "e.")
    ),
    ("slack", "hooks.slack.com/", r"(?:services|workflows|triggers)/([\w/-]{20,})"),
    ("discord", "/api/webhooks/", r"(\d{10,}/[\w-]{30,})"),
    ("webhook", "webhook.office.com/", r"(\S{40,300})"),
    ("stripe", "sk_live_", r"\w{16,}"),
    ("stripe", "sk_test_", r"\w{16,}"),
    ("stripe", "rk_live_", r"\w{16,}"),
    ("stripe", "rk_test_", r"\w{16,}"),
    ("webhook", "whsec_", r"[\w+/=-]{20,}"),
    ("google", "aiza", r"[\w-]{30,45}"),
    ("google", "ya29.", r"[\w.-]{20,}"),
    ("google", "gocspx-", r"[\w-]{20,}"),
    ("npm", "npm_", "X{30,}"),
    ("pypi", "pypi-", r"(?=[\w-]{0,60}\d)[\w-]{40,}"),
    ("rubygems", "rubygems_", "[0-9a-f]{40,}"),
    ("docker", "dckr_", r"(?:pat|oat)_[\w-]{20,}"),
    ("huggingface", "api_org_", "X{20,}"),
    ("openai", "sk-proj-", r"[\w-]{20,}"),
    ("anthropic", "sk-ant-", r"[\w-]{20,}"),
    ("groq", "gsk_", "X{20,}"),
    ("xai", "xai-", "X{40,}"),
    ("perplexity", "pplx-", "X{32,}"),
    ("nvidia", "nvapi-", r"[\w-]{40,}"),
    ("langsmith", "lsv2_", r"(?:pt|sk)_[\w]{30,}"),
    ("pinecone", "pcsk_", r"\w{30,}"),
    ("digitalocean", "dop_v1_", "[0-9a-f]{40,}"),
    ("digitalocean", "doo_v1_", "[0-9a-f]{40,}"),
    ("digitalocean", "dor_v1_", "[0-9a-f]{40,}"),
    ("databricks", "dapi", "[0-9a-f]{32}(?:-[0-9])?"),
    *(("shopify", f"shp{kind}_", "[0-9A-Fa-f]{32}") for kind in ("at", "ca", "pa", "ss", "ua")),
    ("square", "sq0atp-", r"[\w-]{20,}"),
    ("square", "sq0csp-", r"[\w-]{20,}"),
    ("vault", "hvs.", r"[\w-]{20,}"),
    ("vault", "hvb.", r"[\w-]{20,}"),
    ("vault", "hvr.", r"[\w-]{20,}"),
    ("terraform", ".atlasv1.", r"[\w-]{40,}"),
    ("grafana", "glsa_", r"\w{30,}"),
    ("grafana", "glc_", r"[\w+/=-]{32,}"),
    ("grafana", "eyjrijoi", r"[\w+/=]{40,}"),
    ("linear", "lin_api_", "X{30,}"),
    ("linear", "lin_oauth_", "X{30,}"),
    ("notion", "ntn_", "X{30,}"),
    ("doppler", "dp.", r"(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]{2,35}\.)?X{40,}"),
    ("planetscale", "pscale_", r"(?:tkn|pw|oauth|pat)_[\w.=-]{30,}"),
    ("postman", "pmak-", "[0-9a-f]{20,}-[0-9a-f]{30,}"),
    ("figma", "figd_", r"[\w-]{20,}"),
    ("supabase", "sbp_", r"\w{32,}"),
    ("supabase", "sb_secret_", r"[\w-]{16,}"),
    ("age", "age-secret-key-1", "[0-9A-Za-z]{20,}"),
    ("newrelic", "nrak-", "X{20,}"),
    ("newrelic", "nrjs-", "X{16,}"),
    ("newrelic", "nrii-", r"[\w-]{20,}"),
    ("sentry", "sntrys_", r"[\w+/=]{20,}"),
    ("sentry", "sntryu_", "[0-9a-f]{32,}"),
    ("sendinblue", "xkeysib-", r"[\w-]{40,}"),
    ("sendinblue", "xsmtpsib-", r"[\w-]{40,}"),
    ("tailscale", "tskey-", r"[\w-]{20,}"),
    ("sourcegraph", "sgp_", r"\w{40,}"),
    ("sonar", "sqp_", "[0-9a-f]{40}"),
    ("sonar", "squ_", "[0-9a-f]{40}"),
    ("sonar", "sqa_", "[0-9a-f]{40}"),
    ("dynatrace", "dt0c01.", r"[A-Z0-9]{24}\.[A-Z0-9]{60,}"),
    ("netlify", "nfp_", r"[\w-]{36,}"),
    ("fly", "fm2_", r"[\w+/=,-]{40,}"),
    ("pulumi", "pul-", "[0-9a-f]{40}"),
    ("openshift", "sha256~", r"[\w-]{43}"),
    ("buildkite", "bkua_", "[0-9a-f]{40}"),
    ("circleci", "ccipat_", r"\w{20,}"),
    ("heroku", "hrku-", r"[\w-]{36,}"),
    ("artifactory", "cmvmdgtu", "X{40,}"),
    ("clojars", "clojars_", "X{50,}"),
    ("apify", "apify_api_", "X{30,}"),
    ("posthog", "phx_", "X{30,}"),
    ("readme", "rdme_", "X{60,}"),
    ("dropbox", "sl.", r"(?:u\.)?[\w-]{100,}"),
    ("1password", "ops_eyj", r"[\w=-]{100,}"),
    ("approval", "kga_", r"[\w-]{20,}"),  # our own
    ("secret-token", "secret-token:", r"[^\s\"'<>]{8,}"),  # RFC 8959
    ("fernet", "gaaaaa", r"[\w-]{60,}={0,2}"),
    ("paseto", ".local.", r"(?<=v[1-4].local.)[\w-]{20,}"),
    ("paseto", ".public.", r"(?<=v[1-4].public.)[\w-]{20,}"),
    *(("password-hash", f"$2{kind}$", r"\d\d\$[./\w]{50,}") for kind in "aby"),
    *(("password-hash", f"${kind}$", r"[./\w$=,+-]{20,}") for kind in ("1", "5", "6", "y", "7", "apr1", "pbkdf2")),
    *(("password-hash", f"$argon2{kind}$", r"[./\w$=,+-]{20,}") for kind in ("i", "d", "id")),
    # private keys without their armour: the DER header of PKCS#1, PKCS#8 and OpenSSH, in base64
    *(
        ("private-key", header, r"[\w+/=]{20,}(?:(?:\s|\\[nr])+[\w+/=]{40,})*")
        for header in ("b3blbnnzac1rzxktdje", "mc4caqawbqydk2vwbcie", "mhccaqee", "mighageambmgbyqgsm49")
    ),
]
# The same, for prefixes that are short enough to occur inside something else.
_SHORT = [
    ("openai", "sk-", r"(?=[\w-]{0,60}\d)[\w-]{16,}"),
    ("sendgrid", "sg.", r"[\w-]{16,}\.[\w-]{16,}"),
    ("mailgun", "key-", r"(?<![\w-]key-)[0-9a-f]{32}(?![0-9a-f])"),  # but not idempotency-key-...
    ("huggingface", "hf_", "X{20,}"),
    ("replicate", "r8_", "X{32,}"),
    ("adafruit", "aio_", r"X{28}(?!\w)"),
    ("crates", "cio", "X{32}(?![A-Za-z0-9])"),
    ("twilio", "sk", "[0-9a-f]{32}(?![0-9A-Za-z])"),
    ("facebook", "eaa", r"(?=[A-Za-z]{0,40}\d)X{60,}"),
    ("alibaba", "ltai", "X{12,26}(?![A-Za-z0-9])"),
    ("tencent", "akid", "X{32}(?![A-Za-z0-9])"),
    ("airtable", "pat", r"X{14}\.[0-9a-f]{64}"),
    ("google", "1//0", r"[\w-]{30,}"),
    ("google", "4/0a", r"[\w-]{30,}"),
    ("fireworks", "fw_", "X{22,}"),
    ("akamai", "akab-", "[a-z0-9]{16}-[a-z0-9]{16}"),
    ("jfrog", "akc", "X{60,}"),
]
# An access key of AWS, and the secret that is printed beside it.
_AWS = r"[A-Z0-9]{16}(?![A-Za-z0-9])(?:[\"',:;|\s]{1,8}[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/=]))?"


def _rule(label: str, prefix: str, rest: str, edge: str = "") -> Rule:
    # the anchor is lower case; the prefix matches in either, for every issuer's case differs and none has two
    rest = rest.replace("X{", "[A-Za-z0-9]{")
    return Rule(prefix, re.compile(f"{edge}(?i:{re.escape(prefix)}){rest}", re.ASCII), label)


_RULES = Rules(
    [
        *(_rule(*row) for row in _DISTINCT),
        *(_rule(*row, EDGE) for row in _SHORT),
        *(Rule(f"{kind}ia", re.compile(f"{EDGE}{kind.upper()}IA{_AWS}"), "aws") for kind in ("ak", "as", "ab")),
        # a JWT or JWE: base64 of `{"`, and more after a dot; without a dot it is base64 of some JSON, and may stay
        Rule(
            "eyj", re.compile(r"(?:(?=eyJ[\w-]{8,}\.[\w-]{8})(eyJ[\w-]+(?:\.[\w-]*){1,4})|eyJ[\w-]*)", re.ASCII), "jwt"
        ),
        Rule(":aa", re.compile(r"(?<=\d{8}):AA[\w-]{30,40}", re.ASCII), "telegram"),
        Rule("q~", re.compile(r"[\w.~-]{3}\dQ~[\w.~-]{31,34}", re.ASCII), "azure", before=4),
        Rule("-us", re.compile(r"[0-9a-f]{32}-us\d{1,2}(?!\w)", re.ASCII), "mailchimp", before=32),
        # what a new issuer would call it: acme_live_..., acme_secret_...
        *(
            Rule(
                f"_{word}_",
                # a digit, and a letter that no hex digest has
                re.compile(
                    rf"(?<!\bpk)(?<!\\[nrt]pk)_{word}_(?=\w{{0,40}}\d)(?=\w{{0,40}}[g-zG-Z])[A-Za-z0-9]{{20,}}",
                    re.ASCII | re.IGNORECASE,
                ),
                "token",
            )
            for word in ("live", "secret", "sk", "pat", "tkn", "token", "apikey", "oauth", "priv")
        ),
    ]
)
_DISCORD = re.compile(r"[MNO](?<![\w.-].)[A-Za-z0-9_-]{23,27}\.[\w-]{6}\.[\w-]{27,40}(?![\w.-])", re.ASCII)


def find(text: str, lower: str) -> Iterator[Span]:
    yield from _RULES.find(text, lower)
    for match in _DISCORD.finditer(text):
        yield Span(*match.span(), "discord")
