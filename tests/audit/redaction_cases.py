"""Secrets of other issuers, other places to write them in, and identifiers that look like them.

The data are in tests/audit/redaction. In a template `{a:32}` is 32 letters and digits; also x hex, X upper hex, u upper
case and digits, l lower case and
digits, d digits, w url-safe, b base64, n lower letters; `{uuid}` a UUID and `{word}` one to three words.
"""

import html
import json
import random
import re
import string
import uuid
from pathlib import Path
from urllib.parse import quote

_LETTERS = {
    "a": string.ascii_letters + string.digits,
    "x": "0123456789abcdef",
    "X": "0123456789ABCDEF",
    "u": string.ascii_uppercase + string.digits,
    "l": string.ascii_lowercase + string.digits,
    "d": string.digits,
    "n": string.ascii_lowercase,
    "w": string.ascii_letters + string.digits + "-_",
    "b": string.ascii_letters + string.digits + "+/",
}
_WORDS = (
    "copper",
    "kettle",
    "marble",
    "walnut",
    "juniper",
    "badger",
    "velvet",
    "saffron",
    "meadow",
    "harbor",
    "lantern",
)
_HOLE = re.compile(r"\{(?:([axXulnwdb]):(\d+)|(uuid|word|two))\}")


def fill(template: str, rng: random.Random) -> tuple[str, list[str]]:
    """`template` with its holes filled, and what it was filled with."""
    made: list[str] = []

    def one(hole: re.Match[str]) -> str:
        if hole[3] == "uuid":
            value = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        elif hole[3] == "word":
            value = rng.choice(_WORDS) + rng.choice(
                ["", rng.choice(_WORDS), f"{rng.randrange(100, 9999)}!", "-" + rng.choice(_WORDS)]
            )
        elif hole[3] == "two":
            value = rng.choice(_WORDS).title() + rng.choice(_WORDS)
        else:
            letters, length = _LETTERS[hole[1]], int(hole[2])
            value = "".join(rng.choices(letters, k=length))
            if letters is not _LETTERS["d"] and letters is not _LETTERS["n"] and length >= 8:
                value = value[: length // 2] + rng.choice("123456789") + value[length // 2 + 1 :]
        made.append(value)
        return value

    return _HOLE.sub(one, template), made


_DATA = Path(__file__).with_name("redaction")


def lines(name: str) -> list[str]:
    return (_DATA / f"{name}.txt").read_text().strip().splitlines()


TOKENS = lines("tokens")
"""Told by the token alone."""
NAMES = " ".join(lines("names")).split()
PLACES = lines("places")
"""Told by the place: of a command line, a protocol, a file or a URL."""
HARMLESS = lines("harmless")
HARMLESS_VALUES = [line.split(" | ") for line in lines("harmless_values")]
VALUES = [
    "{a:32}",
    "{x:32}",
    "{x:40}",
    "{x:64}",
    "{w:43}",
    "{b:43}=",
    "{uuid}",
    "{word}",
    "{two}",
    "{a:20}",
    "{l:24}",
    "{word}{d:4}",
]


def unescaped(template: str) -> str:
    """\\n is a new line, and \\\\n the two characters."""
    return template.replace("\\\\n", "\0").replace("\\n", "\n").replace("\0", "\\n")


def one_line(text: str) -> str:
    return text.replace("\n", "\\n")


def env(name: str) -> str:
    """As a variable of the environment is written: `clientSecret` is CLIENT_SECRET."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[.-]", "_", name).upper()


def plural(name: str) -> str:
    return name + ("S" if name.isupper() else "s")


def _c(text: str) -> str:
    return json.dumps(text)


NAMED = {
    "ini": lambda n, v: f"[db]\nhost = 10.0.0.1\n{n} = {v}\nport = 5\n",
    "properties": lambda n, v: f"app.name=web\napp.{n}={v}\napp.port=1\n",
    "properties colon": lambda n, v: f"app.name: web\n{n}: {v}\n",
    "yaml env list": lambda n, v: f"env:\n  - name: {n}\n    value: {_c(v)}\n  - name: A\n    value: b\n",
    "yaml env bare": lambda n, v: f"env:\n  - name: {n}\n    value: {v}\n",
    "yaml quoted key": lambda n, v: f"\"{n}\": '{v}'\n",
    "yaml list": lambda n, v: f"{plural(n)}:\n  - {v}\n  - {v}\nother: 1\n",
    "block scalar": lambda n, v: f"{n}: |-\n  {v}\nother: 1\n",
    "powershell": lambda n, v: f"PS C:\\> $env:{n.replace('-', '_').replace('.', '_')} = '{v}'\n",
    "powershell set": lambda n, v: f"[Environment]::SetEnvironmentVariable('{n}', '{v}', 'User')",
    "securestring": lambda n, v: (
        f"${n.replace('-', '').replace('.', '')} = ConvertTo-SecureString '{v}' -AsPlainText -Force"
    ),
    "fish": lambda n, v: f"set -gx {env(n)} {v}\n",
    "csh": lambda n, v: f"setenv {env(n)} {v}\n",
    "xtrace": lambda n, v: f"+ export {env(n)}={v}\n+ {env(n)}={v}\n+ ./run\n",
    "heredoc": lambda n, v: f"cat > .env <<EOF\nHOST=a\n{n}={v}\nEOF\n",
    "java define": lambda n, v: f"java -D{n}={v} -jar app.jar --port 1",
    "gradle property": lambda n, v: f"./gradlew build -P{n}={v} --info",
    "single dash": lambda n, v: f"tool -{n} {v} -verbose",
    "option equals": lambda n, v: f"tool --{n}={v} --verbose",
    "option quoted": lambda n, v: f"tool --{n} '{v}' --verbose",
    "set option": lambda n, v: f"helm upgrade x ./c --set global.{n}={v},replicas=2",
    "build arg": lambda n, v: f"docker build --build-arg {env(n)}={v} .",
    "docker inspect": lambda n, v: json.dumps({"Env": ["PATH=/bin", f"{env(n)}={v}"], "Cmd": ["sh"]}),
    "php define": lambda n, v: f"define('{env(n)}', '{v}');",
    "php array": lambda n, v: f"    '{n}' => '{v}',\n    'port' => 3306,\n",
    "php dump": lambda n, v: f'array(2) {{\n  ["{n}"]=>\n  string({len(v)}) "{v}"\n}}',
    "print_r": lambda n, v: f"Array\n(\n    [{n}] => {v}\n    [port] => 1\n)\n",
    "go struct": lambda n, v: f'cfg := Config{{\n\tHost: "a",\n\t{n}: "{v}",\n}}',
    "go plus v": lambda n, v: f"config: {{Host:db {n}:{v} Port:5432}}",
    "go setenv": lambda n, v: f'os.Setenv("{n}", "{v}")',
    "java": lambda n, v: f'private static final String {env(n)} = "{v}";',
    "java put": lambda n, v: f'props.put("{n}", "{v}");',
    "java string": lambda n, v: f"Config{{host='db', {n}='{v}', port=1}}",
    "dataclass": lambda n, v: f"Settings(host='db', {n.replace('-', '_')}={v!r}, port=1)",
    "c#": lambda n, v: f'["{n}"] = "{v}",',
    "c# property": lambda n, v: f'public string {n.replace("-", "")} {{ get; set; }} = "{v}";',
    "rust": lambda n, v: f'let {n.replace("-", "_")}: &str = "{v}";',
    "rust some": lambda n, v: f'Config {{ host: "a", {n}: Some("{v}"), port: 1 }}',
    "kotlin": lambda n, v: f'val {n.replace("-", "_")}: String = "{v}"',
    "typescript": lambda n, v: f"const {n.replace('-', '_')}: string = `{v}`;",
    "swift": lambda n, v: f'let {n.replace("-", "_")} = "{v}"',
    "elixir": lambda n, v: f'config :app, Repo,\n  {n.replace("-", "_")}: "{v}",\n  pool: 10',
    "perl": lambda n, v: f"$cfg{{{n}}} = '{v}';",
    "lua": lambda n, v: f"[\"{n}\"] = '{v}',",
    "environ": lambda n, v: f'os.environ["{env(n)}"] = "{v}"',
    "environ default": lambda n, v: f'x = os.environ.get("{env(n)}", "{v}")',
    "plist": lambda n, v: f"<dict>\n\t<key>{n}</key>\n\t<string>{v}</string>\n</dict>",
    "android": lambda n, v: f'<string name="{n}">{html.escape(v)}</string>',
    "app.config": lambda n, v: f'<add key="{n}" value="{html.escape(v)}" />',
    "xml attribute": lambda n, v: f'<server host="a" {n}="{html.escape(v)}" port="1"/>',
    "html table": lambda n, v: f"<tr><td>{n}</td><td>{html.escape(v)}</td></tr>",
    "definition list": lambda n, v: f"<dt>{n}</dt>\n<dd>{html.escape(v)}</dd>",
    "html bold": lambda n, v: f"<p><b>{n}:</b> {html.escape(v)}</p>",
    "markdown bold": lambda n, v: f"- **{n}**: {v}\n- **port**: 1\n",
    "markdown code": lambda n, v: f"Set `{n}` to `{v}` and restart.",
    "asciidoc": lambda n, v: f"|===\n|{n} |{v}\n|===\n",
    "psql": lambda n, v: f" name | value\n------+-------\n {n} | {v}\n(1 row)\n",
    "psql column": lambda n, v: f" id | {n} | role\n----+------+-----\n  1 | {v} | admin\n",
    "box": lambda n, v: f"+------+------+\n| name | value |\n+------+------+\n| {n} | {v} |\n+------+------+\n",
    "unicode box": lambda n, v: f"│ {n} │ {v} │\n",
    "tsv": lambda n, v: f"name\tvalue\n{n}\t{v}\nport\t1\n",
    "csv semicolon": lambda n, v: f"key;value\n{n};{v}\nport;1\n",
    "csv quoted": lambda n, v: f'"name","value"\n"{n}","{v}"\n',
    "csv column": lambda n, v: f"id,{n},role\n1,{v},admin\n2,{v},user\n",
    "tsv column": lambda n, v: f"id\t{n}\trole\n1\t{v}\tadmin\n",
    "printenv": lambda n, v: f"TERM=xterm\n{env(n)}={v}\nLANG=C\n",
    "columns": lambda n, v: (
        f"NAME            VALUE\nLOG_LEVEL       info\n{env(n):<16}{v}\n"
        if len(n) < 15
        else f"NAME   VALUE\n{n}   {v}\n"
    ),
    "json pair object": lambda n, v: json.dumps({"key": n, "value": v, "n": 1}),
    "json pair spaced": lambda n, v: json.dumps([{"Name": n, "Value": v}], indent=2),
    "json parameter": lambda n, v: json.dumps({"ParameterKey": n, "ParameterValue": v}),
    "json array": lambda n, v: json.dumps({plural(n): [v, v]}, indent=2),
    "graphql": lambda n, v: f'mutation {{ login({n.replace("-", "_").replace(".", "_")}: "{v}") {{ id }} }}',
    "url encoded json": lambda n, v: "q=" + quote(json.dumps({n: v})),
    "html json": lambda n, v: f'<div data-props="{html.escape(json.dumps({n: v}))}"></div>',
    "unicode escaped": lambda n, v: json.dumps({n: v}).replace('"', "\\u0022"),
    "sql where": lambda n, v: f"SELECT * FROM users WHERE {n.replace('-', '_')} = '{v}' AND id = 3",
    "sql insert": lambda n, v: f"INSERT INTO t (id, {n.replace('-', '_')}) VALUES (1, '{v}');",
    "redis": lambda n, v: f"127.0.0.1:6379> SET app:{n} {v}\nOK\n",
    "kubectl literal": lambda n, v: f"kubectl create secret generic x --from-literal={n}={v}",
    "gh secret": lambda n, v: f"gh secret set {env(n)} --body {v}",
    "heroku": lambda n, v: f"heroku config:set {env(n)}={v} -a app",
    "heroku show": lambda n, v: f"=== app Config Vars\n{env(n)}:     {v}\nPORT:   1\n",
    "log brackets": lambda n, v: f"2026-01-02 INFO [main] connecting [{n}={v}] [port=1]",
    "log arrow": lambda n, v: f"DEBUG set {n} => {v}",
    "prose is": lambda n, v: f"The {n} is {v}, please rotate it.",
    "prose quoted": lambda n, v: f"I used '{v}' as the {n} for staging.",
    "ansi": lambda n, v: f"\x1b[1m{n}\x1b[0m\x1b[90m:\x1b[0m \x1b[32m{v}\x1b[0m\n",
    "ansi string": lambda n, v: f"{{ \x1b[36m{n}\x1b[0m: \x1b[32m'{v}'\x1b[0m }}",
    "diff": lambda n, v: f"-{n}: old-{v}\n+{n}: {v}\n",
    "comment": lambda n, v: f"# {n}={v}\n// {n}: {v}\n",
    "terraform plan": lambda n, v: (
        f'      + {n.replace("-", "_")} = "{v}"\n      ~ {n.replace("-", "_")} = "{v}" -> "{v}"\n'
    ),
    "tfvars": lambda n, v: f'{n.replace("-", "_").replace(".", "_")} = "{v}"\n',
    "nginx": lambda n, v: f'proxy_set_header {n} {v};\nproxy_set_header {n} "{v}";',
    "systemd": lambda n, v: f'Environment={env(n)}={v}\nEnvironment="A=b"\n',
    "makefile": lambda n, v: f"{env(n)} ?= {v}\n{env(n)} := {v}\n",
    "cmake": lambda n, v: f"cmake -D{env(n)}:STRING={v} ..",
    "protobuf": lambda n, v: f'config {{ {n.replace("-", "_")}: "{v}" port: 1 }}',
    "continuation": lambda n, v: f"run \\\n  --{n} \\\n  {v} \\\n  --port 1\n",
    "multipart": lambda n, v: f'--x\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n--x--',
    "quoted printable": lambda n, v: f"Your {n} =3D {v}\n",
    "bicep": lambda n, v: f"param {n.replace('-', '_').replace('.', '_')} string = '{v}'",
    "cfn": lambda n, v: f"Parameters:\n  {n}:\n    Type: String\n    Default: {v}\n",
    "ansible": lambda n, v: f'- name: x\n  vars:\n    {n}: "{v}"\n',
    "jenkins": lambda n, v: f"environment {{ {env(n)} = '{v}' }}",
    "nix": lambda n, v: f'{{ {n} = "{v}"; }}',
    "haskell": lambda n, v: f'Config {{ host = "a", {n} = "{v}" }}',
    "clojure": lambda n, v: f'{{:host "a" :{n} "{v}"}}',
    "erlang": lambda n, v: f'{{{n}, "{v}"}}.',
    "scala": lambda n, v: f'{n} := Some("{v}")',
    "r": lambda n, v: f'Sys.setenv({env(n)} = "{v}")',
    "julia": lambda n, v: f'ENV["{env(n)}"] = "{v}"',
    "vb": lambda n, v: f'Dim {n.replace("-", "_")} As String = "{v}"',
    "cobra": lambda n, v: f'cmd --{n.replace("_", "-")} "{v}" run',
    "windows set": lambda n, v: f"SET {env(n)}={v}&& run.exe",
    "setx": lambda n, v: f'setx {env(n)} "{v}" /M',
    "export -x": lambda n, v: f'declare -x {env(n)}="{v}"',
    "ps1 hash": lambda n, v: f"@{{ {n.replace('-', '_')} = '{v}'; Port = 1 }}",
    "slack msg": lambda n, v: f"<@U1> {n} = `{v}` :lock:",
    "email": lambda n, v: f"> {n}: {v}\n> thanks",
    "rst table": lambda n, v: f"=====  =====\nname   value\n=====  =====\n{n}  {v}\n=====  =====\n",
    "yaml anchors": lambda n, v: f"x: &a\n  {n}: !!str {v}\n",
    "json5": lambda n, v: f"{{ {n.replace('-', '_').replace('.', '_')}: '{v}', }}",
    "jsonl": lambda n, v: json.dumps({"k": n, "v": v}),
    "py fstring": lambda n, v: f"print(f'{n}={v}')",
    "pydantic": lambda n, v: f"{n.replace('-', '_')}: SecretStr = SecretStr('{v}')",
    "argparse": lambda n, v: f"Namespace(host='a', {n.replace('-', '_')}='{v}', n=1)",
    "struct log": lambda n, v: f"[info] cfg host=a | {n}={v} | port=1",
    "ruby inspect": lambda n, v: f'#<Cfg:0x01 @host="a", @{n.replace("-", "_")}="{v}">',
    "xml attr value": lambda n, v: f'<param name="{n}" type="s">{html.escape(v)}</param>',
    "kubectl describe": lambda n, v: f"    Environment:\n      {env(n)}:  {v}\n      A:  b\n",
    "aws cli": lambda n, v: f"aws ssm put-parameter --name /app/{n} --value {v} --type SecureString",
    "terraform out": lambda n, v: f"{n} = <<EOT\n{v}\nEOT\n",
    "two words": lambda n, v: f"{n.replace('_', ' ')}: {v}",
    "ini spaced": lambda n, v: f"{n}   =   '{v}' ; note",
    "sql condition": lambda n, v: f"... WHERE {n.replace('-', '_')}='{v}'",
    "zsh trace": lambda n, v: f"+zsh:3> {env(n)}={v} ",
}
BARE = {
    "sentence": lambda t: f"please try with {t} instead, thanks",
    "parenthesis": lambda t: f"rejected ({t}): 401 Unauthorized",
    "yaml list": lambda t: f"items:\n  - {t}\n  - b\n",
    "call": lambda t: f'client = connect("{t}", 3)',
    "shell argument": lambda t: f"./deploy.sh prod {t} eu",
    "xml": lambda t: f"<item>{t}</item>",
    "html": lambda t: f"<code>{html.escape(t)}</code>",
    "backticks": lambda t: f"- use `{t}`",
    "json twice": lambda t: json.dumps({"m": json.dumps({"x": t})}),
    "query": lambda t: f"GET /v1/a?x={quote(t, safe='')}&y=1",
    "path": lambda t: f"https://api.acme.io/v1/x/{quote(t, safe='')}/y",
    "ansi": lambda t: f"got \x1b[33m{t}\x1b[0m\n",
    "ansi inside": lambda t: f"got {t[:9]}\x1b[0m\x1b[33m{t[9:]}\x1b[0m\n",
    "csv": lambda t: f"1,bob,{t},2026\n",
    "tsv": lambda t: f"1\tbob\t{t}\t2026\n",
    "log": lambda t: f"2026-01-02T00:00:00Z WARN auth: rejected {t} from 10.0.0.1",
    "notebook": lambda t: json.dumps({"source": ["import x\n", f"x.login('{t}')\n"]}),
    "comment": lambda t: f"x = 1  # {t}\n",
    "angle": lambda t: f"see <{t}> for it",
    "percent": lambda t: "data=" + quote(json.dumps({"x": t}), safe=""),
    "repr bytes": lambda t: f"b'{t}'",
    "git remote": lambda t: f"remote: rejected {t}\n",
    "equals": lambda t: f"x={t}",
    "ends sentence": lambda t: f"It was {t}.",
}
