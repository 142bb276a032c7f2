"""Secrets of other issuers, other places to write them in, and identifiers that look like them: data, and how to fill it.

In a template `{a:32}` is 32 letters and digits; also x hex, X upper hex, u upper case and digits, l lower case and
digits, d digits, w url-safe, b base64, n lower letters; `{uuid}` a UUID and `{word}` one to three words.
"""

import html
import json
import random
import re
import string
import uuid
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
_WORDS = "copper kettle marble walnut juniper badger velvet saffron gorilla tangerine meadow harbor lantern".split()
_HOLE = re.compile(r"\{(?:([axXulnwdb]):(\d+)|(uuid|word|two))\}")


def fill(template: str, rng: random.Random) -> tuple[str, list[str]]:
    """`template` with its holes filled, and what it was filled with."""
    made: list[str] = []

    def one(hole: re.Match[str]) -> str:
        if hole[3] == "uuid":
            value = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        elif hole[3] == "word":
            value = rng.choice(_WORDS) + rng.choice(["", rng.choice(_WORDS), f"{rng.randrange(100, 9999)}!", "-" + rng.choice(_WORDS)])
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


TOKENS = """
b_{a:44}
ddp_{a:36}
EZAK{a:54}
endr+{a:16}
fio-u-{w:64}
live_{w:40}
HRKU-AA{w:58}
pat-na1-{uuid}
ico-{a:32}
s-s4t2ud-{x:64}
{a:6}_{a:29}_mmk
API-{u:26}
{a:10}msh{a:23}jsn{a:12}
tk-us-{w:48}
sm_aat_{a:16}
shippo_live_{x:40}
EAAAE{w:59}
ATTA{x:64}
AQVN{w:35}
t1.9{w:20}.{w:86}
y0_{w:55}
rnd_{a:32}
re_{a:8}_{a:24}
testsk_{w:30}
v1.0-{x:24}-{x:146}
slk_{x:64}
unkey_{a:24}
sk-lf-{uuid}
sk-helicone-{l:7}-{l:7}-{l:7}-{l:7}
tgp_v1_{w:43}
esecret_{l:28}
csk-{l:48}
jina_{x:32}{a:33}
pa-{w:43}
rpa_{u:40}
2{a:26}_{a:21}
glimt-{w:25}
glffct-{w:20}
gloas-{x:64}
ATCTT3xFfG{w:60}
pat.{w:22}.{x:24}.{a:20}
sat.{w:22}.{x:24}.{a:20}
wandb_v1_{a:77}
aio_{a:28}
aikey_{a:32}
akm_live_{a:40}
dvc_{a:48}
ghb_{a:40}
ck_{x:40}
cs_{x:40}
xau_{a:48}
nf_pat_{a:40}
hcp.{a:48}
ory_pat_{a:32}
ory_at_{w:43}.{w:43}
kh_{a:36}
lip_{a:20}
lc_sk_{x:40}
mp_sec_{x:48}
oat_{a:44}
osu_{x:64}
pnk_{a:36}
qdr_{w:60}
rw_Prod_{a:24}
seam_{a:8}_{a:32}
sdk-{uuid}
mob-{uuid}
tpk-{w:40}
tr_dev_{a:24}
tr_prod_{a:24}
upl_{a:32}
uk_{w:40}
vapi_{uuid}
vsk_{l:48}
wk_live_{a:32}
xkey-{a:48}
zpka_{x:32}_{x:8}
bb_live_{w:27}
cal_live_{x:32}
key_live_{x:32}
sec_prod_{a:40}
token-{a:40}
nvd_{uuid}
cb_pat_{l:32}
cpk_{x:32}.{x:32}.{a:32}
fgp_{x:40}
app_secret_{x:32}
sess_{a:40}
ssm_{b:60}
sntryx_{x:64}
mlsn.{x:64}
mfp_{a:50}
lsk_{w:48}
tok_live_{a:30}
acct_key_{a:36}
orgkey_{a:40}
bot_token_{a:36}
sk_sandbox_{a:32}
PRIV-{u:32}
SECRET-{X:40}
cnvapi_{a:40}
oai_{a:48}
pvk_{x:64}
fo1_{w:43}
fb_{l:40}
dg_{x:40}
ak_{a:27}
nk_{l:52}
sbt_{a:36}
dckr_oat_{w:32}
dt0s01.{u:8}.{u:64}
prl_{a:40}
sl_{a:50}
zoho_{x:32}.{x:32}
""".split()
"""Told by the token alone."""

NAMES = """
db.password DbPassword MYSQL_PWD redis-password rabbitmq_default_pass smtpPass SMTP_PASS user_pass rootPassword
adminPasswd vnc_passwd grafana.admin.password spring.datasource.password ConnectionStrings.Password sudo_pass
ANSIBLE_BECOME_PASS ansible_ssh_pass keystorePass trustStorePassword jks_password PFX_PASSWORD cert_password
gpg_passphrase sshKeyPassphrase luks_passphrase WIFI_PSK wpa_passphrase pppoe_password sip_secret radius_secret
shared_secret preSharedKey ipsec_psk tsig_key rndc_key hmac_key HMAC_SECRET signingKey jwtSigningSecret
cookie_signing_key session_secret SESSION_SECRET_KEY flask_secret_key secretKeyBase NEXTAUTH_SECRET csrf_secret
appSecret app_secret FACEBOOK_APP_SECRET consumer_secret twitterConsumerSecret TWITTER_ACCESS_TOKEN_SECRET
oauthClientSecret okta_client_secret AUTH0_CLIENT_SECRET cognitoClientSecret ARM_CLIENT_SECRET servicePrincipalKey
storageAccountKey COSMOS_KEY cosmosPrimaryKey eventHubKey SharedAccessKey service_bus_key iothub_key search_admin_key
apiKey x-api-key ApiKey API-KEY api.key apikey APIKEY api_key_prod stripeApiKey STRIPE_KEY sendgridKey mapsApiKey
algoliaAdminApiKey meiliMasterKey MEILI_MASTER_KEY typesense_api_key elastic_api_key ES_API_KEY qdrant_api_key
pineconeApiKey weaviate_key COHERE_KEY openrouterKey deepgram_api_key assemblyai_key ELEVEN_KEY
accessToken access-token ACCESS_TOKEN refreshToken id_token idToken sessionToken bot_token botToken TELEGRAM_TOKEN
SLACK_TOKEN discordToken userToken personal_access_token PAT_TOKEN deployToken deploy_token DEPLOY_KEY registryToken
vaultToken VAULT_ROOT_TOKEN consulToken nomad_token NOMAD_TOKEN runner_token registrationToken kubelet_token
bearerToken bearer_token authToken auth_token X-Auth-Token xsrfToken influx_token INFLUXDB_TOKEN sonar_token
SONAR_TOKEN codecov_token CODECOV_TOKEN snykToken sentryAuthToken npmAuthToken NODE_AUTH_TOKEN pypiToken
TWINE_PASSWORD gemHostApiKey cargoRegistryToken nugetApiKey GRADLE_PUBLISH_SECRET ossrhPassword mavenPassword
encryptionKey ENCRYPTION_KEY dataKey masterKey MASTER_KEY unsealKey recovery_key restic_password borg_passphrase
B2_APPLICATION_KEY wasabi_secret minio_secret_key MINIO_ROOT_PASSWORD secretAccessKey aws_secret_key awsSecret
DO_SPACES_SECRET spaces_secret_key tfe_token TFE_TOKEN pulumiAccessToken cloudflareApiToken CF_API_KEY globalApiKey
godaddy_secret namecheap_api_key porkbun_secret_api_key route53_secret linodeToken vultr_api_key hcloudToken
twilioAuthToken vonage_api_secret messagebird_access_key plivoAuthToken mailjet_secret_key postmark_server_token
paypal_client_secret adyenApiKey braintree_private_key squareAccessToken razorpay_key_secret klarna_password
webhookSigningSecret webhook_secret GITHUB_APP_PRIVATE_KEY githubToken GH_TOKEN gitlabPrivateToken bitbucketAppPassword
jiraApiToken confluence_token zendeskToken freshdeskApiKey hubspotPrivateAppToken salesforcePassword
sfSecurityToken SF_SECURITY_TOKEN marketo_client_secret mixpanelSecret segmentWriteKey amplitudeSecretKey
datadogAppKey DD_APP_KEY newRelicLicenseKey NEW_RELIC_LICENSE_KEY splunkHecToken honeycombWriteKey logdnaIngestionKey
pagerdutyApiKey opsgenieKey statuspageApiKey launchdarklySdkKey split_api_key firebaseServerKey FCM_SERVER_KEY
apnsAuthKey onesignal_rest_key pusherSecret ablyKey livekitApiSecret zoomClientSecret
totpSecret mfaSecret otp_seed two_factor_secret passcode device_pin backupCode recoveryCode bindPassword LDAP_BIND_PW
kerberosPassword snmp_community enable_secret community_string
""".split()
VALUES = ["{a:32}", "{x:32}", "{x:40}", "{x:64}", "{w:43}", "{b:43}=", "{uuid}", "{word}", "{two}", "{a:20}", "{l:24}", "{word}{d:4}"]


def unescaped(template: str) -> str:
    """\\n is a new line, and \\\\n the two characters."""
    return template.replace("\\\\n", "\0").replace("\\n", "\n").replace("\0", "\\n")


def one_line(text: str) -> str:
    return text.replace("\n", "\\n")


def env(name: str) -> str:
    """As a variable of the environment is written: `clientSecret` is CLIENT_SECRET."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[.-]", "_", name).upper()


def _c(text: str) -> str:
    return json.dumps(text)


NAMED = {
    "ini": lambda n, v: f"[db]\nhost = 10.0.0.1\n{n} = {v}\nport = 5\n",
    "properties": lambda n, v: f"app.name=web\napp.{n}={v}\napp.port=1\n",
    "properties colon": lambda n, v: f"app.name: web\n{n}: {v}\n",
    "yaml env list": lambda n, v: f"env:\n  - name: {n}\n    value: {_c(v)}\n  - name: A\n    value: b\n",
    "yaml env bare": lambda n, v: f"env:\n  - name: {n}\n    value: {v}\n",
    "yaml quoted key": lambda n, v: f'"{n}": \'{v}\'\n',
    "yaml list": lambda n, v: f"{n}s:\n  - {v}\n  - {v}\nother: 1\n",
    "block scalar": lambda n, v: f"{n}: |-\n  {v}\nother: 1\n",
    "powershell": lambda n, v: f"PS C:\\> $env:{n.replace('-', '_').replace('.', '_')} = '{v}'\n",
    "powershell set": lambda n, v: f"[Environment]::SetEnvironmentVariable('{n}', '{v}', 'User')",
    "securestring": lambda n, v: f"${n.replace('-', '').replace('.', '')} = ConvertTo-SecureString '{v}' -AsPlainText -Force",
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
    "elixir": lambda n, v: f"config :app, Repo,\n  {n.replace('-', '_')}: \"{v}\",\n  pool: 10",
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
    "printenv": lambda n, v: f"HOME=/root\n{env(n)}={v}\nLANG=C\n",
    "columns": lambda n, v: f"NAME            VALUE\nLOG_LEVEL       info\n{env(n):<16}{v}\n" if len(n) < 15 else f"NAME   VALUE\n{n}   {v}\n",
    "json pair object": lambda n, v: json.dumps({"key": n, "value": v, "n": 1}),
    "json pair spaced": lambda n, v: json.dumps([{"Name": n, "Value": v}], indent=2),
    "json parameter": lambda n, v: json.dumps({"ParameterKey": n, "ParameterValue": v}),
    "json array": lambda n, v: json.dumps({n + "s": [v, v]}, indent=2),
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
    "terraform plan": lambda n, v: f'      + {n.replace("-", "_")} = "{v}"\n      ~ {n.replace("-", "_")} = "{v}" -> "{v}"\n',
    "tfvars": lambda n, v: f'{n.replace("-", "_").replace(".", "_")} = "{v}"\n',
    "nginx": lambda n, v: f"proxy_set_header {n} {v};\nproxy_set_header {n} \"{v}\";",
    "systemd": lambda n, v: f'Environment={env(n)}={v}\nEnvironment="A=b"\n',
    "makefile": lambda n, v: f"{env(n)} ?= {v}\n{env(n)} := {v}\n",
    "cmake": lambda n, v: f"cmake -D{env(n)}:STRING={v} ..",
    "protobuf": lambda n, v: f'config {{ {n.replace("-", "_")}: "{v}" port: 1 }}',
    "continuation": lambda n, v: f"run \\\n  --{n} \\\n  {v} \\\n  --port 1\n",
    "multipart": lambda n, v: f'--x\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n--x--',
    "quoted printable": lambda n, v: f"Your {n} =3D {v}\n",
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
PLACES = r"""
curl -u admin:{a:20} https://x.acme.io/a
curl --user 'admin:{a:20}' https://x.acme.io
curl -sS --data 'grant_type=password&username=a&password={a:14}' https://x
curl -d '{"apiKey":"{a:24}"}' https://x
wget --http-password={a:14} https://x
http -a admin:{a:14} GET https://x
mysql -uroot -p{a:12} -h db
mysqldump --password={a:12} db
PGPASSWORD={a:12} psql -h db
psql "host=db user=a password={a:12} dbname=x"
redis-cli -a {a:20} ping
mongosh "mongodb://a:{a:12}@db/x"
mongodump -u a -p {a:12} --db x
ldapsearch -D cn=a -w {a:12} -b dc=x
sshpass -p{a:12} ssh a@b
openssl enc -aes-256-cbc -k {a:16} -in a
openssl rsa -passin pass:{a:16} -in a
keytool -storepass {a:12} -list
docker login -u a -p {a:20} reg.acme.io
podman login --username a --password {a:20} reg
az login --service-principal -u x -p {a:34} --tenant y
vault login {a:24}x
vault kv put secret/x password={a:14}
aws configure set aws_secret_access_key {b:40}
gh auth login --with-token <<< {a:40}
echo "{a:24}" | docker login --password-stdin
npm config set //registry.npmjs.org/:_authToken {a:36}
//npm.acme.io/:_password={b:24}==
machine api.acme.io login a password {a:16}
db.acme.io:5432:x:a:{a:12}
admin:$apr1${a:8}${a:22}
root:$6${a:16}${a:86}:19000:0:99999:7:::
user:{SSHA}{b:32}
[pypi]\nusername = __token__\npassword = {a:60}
jdbc:mysql://db/x?user=a&password={a:12}
jdbc:oracle:thin:a/{a:12}@db:1521/x
Server=db;Database=x;User Id=a;Password={a:12};
Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey={b:43}=
amqp://a:{a:12}@mq/x
smtp://a%40b.io:{a:12}@mx:587
ldap://cn=a:{a:12}@ldap/
redis://default:{a:24}@r:6379
nats://{a:30}@nats:4222
cloudinary://123456789012345:{a:27}@name
sftp://a:{a:12}@h/x
socks5://a:{a:12}@p:1080
https://a:{a:12}@git.acme.io/x.git
https://hooks.zapier.com/hooks/catch/123456/{l:7}/{a:24}
https://maker.ifttt.com/trigger/x/with/key/{w:43}
https://hook.eu1.make.com/{l:32}
https://chat.acme.io/hooks/{l:26}
https://events.pagerduty.com/integration/{x:32}/enqueue
https://api.telegram.org/bot123456789:AA{w:33}/sendMessage
https://mainnet.infura.io/v3/{x:32}
https://x.quiknode.pro/{x:40}/
https://chat.googleapis.com/v1/spaces/AAA/messages?key=AIza{w:35}&token={w:43}
https://open.feishu.cn/open-apis/bot/v2/hook/{uuid}
https://oapi.dingtalk.com/robot/send?access_token={x:64}
https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={uuid}
https://hc-ping.com/{uuid}
https://x.webhook.office.com/webhookb2/{uuid}@{uuid}/IncomingWebhook/{x:32}/{uuid}
https://discord.com/api/webhooks/123456789012345678/{w:68}
https://us02web.zoom.us/j/123456789?pwd={a:32}
https://acme.io/reset-password/{w:43}
https://acme.io/reset?token={w:43}
https://acme.io/invite/{w:32}
https://acme.io/magic-link?t={w:43}&token={w:43}
https://acme.io/unsubscribe?u=1&signature={x:64}
https://cdn.acme.io/v.mp4?Policy={w:80}&Signature={w:80}&Key-Pair-Id=K1
https://b.blob.core.windows.net/c/f?sv=2022&sr=b&sig={a:43}%3D&se=2026
https://x.r2.cloudflarestorage.com/f?X-Amz-Algorithm=A&X-Amz-Security-Token={a:80}&X-Amz-Signature={x:64}
https://x.cos.ap.myqcloud.com/f?q-sign-algorithm=sha1&q-ak=AKID&q-signature={x:40}
https://x.b-cdn.net/f?token={w:43}&expires=1795250000
https://x.akamaized.net/f?hdnea=exp=1~acl=/*~hmac={x:64}
https://res.cloudinary.com/x/image/upload/s--{w:8}--/a.jpg?_a={w:20}&api_key=1&signature={x:40}
https://acme.io/feed.xml?key={x:32}
https://acme.io/api?apikey={x:32}&q=a
https://acme.io/api?appid={x:32}&q=a&apiKey={x:32}
wss://acme.io/ws?ticket={w:43}
https://acme.io/oauth/cb#access_token={w:43}&state=1
https://acme.io/oauth/cb?code={w:43}&state=1
X-Api-Key: {a:32}
x-functions-key: {a:52}==
apikey: {a:32}
X-Amz-Security-Token: {b:120}
X-Goog-IAM-Authority-Selector: a\nX-Goog-Signature: {x:64}
X-Hub-Signature-256: sha256={x:64}
Stripe-Signature: t=1,v1={x:64}
X-Slack-Signature: v0={x:64}
X-CSRF-Token: {w:43}
X-Session-Id: {x:40}
X-Shopify-Access-Token: {x:32}
X-Figma-Token: {w:40}
PRIVATE-TOKEN: {w:20}
JOB-TOKEN: {w:20}
X-Rundeck-Auth-Token: {a:32}
X-N8N-API-KEY: {a:40}
Authorization: GenieKey {uuid}
Authorization: token {x:40}
Authorization: ApiKey {a:40}==
Authorization: Digest username="a", realm="b", nonce="{x:32}", response="{x:32}"
Authorization: Zoho-oauthtoken {x:32}
Authorization: {a:40}
Proxy-Authorization: Basic YWRtaW46{a:20}
Sec-WebSocket-Protocol: graphql-ws, Bearer.{a:40}
Cookie: a=b; session={w:43}; theme=dark
Set-Cookie: sid=s%3A{w:32}.{w:43}; Path=/; HttpOnly
set-cookie: remember_token={w:43}; path=/
Recovery codes:\n{l:5}-{l:5}\n{l:5}-{l:5}
backup codes: {d:8} {d:8} {d:8}
Your verification code is {d:6}.
OTP: {d:6}
otp={d:6}
PIN: {d:4}
pin code is {d:4}
{"passcode": "{d:6}"}
{"mfa_code": "{d:6}"}
seed phrase: {n:5} {n:6} {n:4} {n:5} {n:6} {n:4} {n:5} {n:6} {n:4} {n:5} {n:6} {n:4}
mnemonic = "{n:5} {n:6} {n:4} {n:5} {n:6} {n:4} {n:5} {n:6} {n:4} {n:5} {n:6} {n:4}"
-----BEGIN OPENSSH PRIVATE KEY-----\\n{b:70}\\n{b:70}\\n-----END OPENSSH PRIVATE KEY-----
-----BEGIN RSA PRIVATE KEY----- {b:64} {b:64} -----END RSA PRIVATE KEY-----
    -----BEGIN EC PRIVATE KEY-----\n    {b:64}\n    {b:40}==\n    -----END EC PRIVATE KEY-----
-----BEGIN ENCRYPTED PRIVATE KEY-----\n{b:64}\n{b:64}
-----BEGIN SSH2 ENCRYPTED PRIVATE KEY-----\n{b:64}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----
---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n{b:64}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----
{"private_key_id": "abc", "private_key": "-----BEGIN PRIVATE KEY-----\\n{b:64}\\n-----END PRIVATE KEY-----\\n"}
-----BEGIN OpenVPN Static key V1-----\n{x:32}\n{x:32}\n-----END OpenVPN Static key V1-----
client-key-data: {b:200}
apiVersion: v1\nkind: Secret\ndata:\n  password: {b:20}==\n  token: {b:40}
key "rndc" { algorithm hmac-sha256; secret "{b:43}="; };
PresharedKey = {b:43}=
snmp-server community {a:10} RO
username admin secret 5 $1${a:4}${a:22}
enable secret 9 $9${a:14}${a:43}
requirepass {a:24}
masterauth {a:24}
ALTER USER a WITH PASSWORD '{a:12}';
CREATE LOGIN a WITH PASSWORD = '{a:12}';
GRANT ALL ON x.* TO 'a'@'%' IDENTIFIED BY '{a:12}';
SET PASSWORD FOR 'a' = '{a:12}';
net use Z: \\\\srv\\x /user:a {a:12}
net user bob {a:12} /add
echo {a:12} | sudo -S ls
echo 'root:{a:12}' | chpasswd
htpasswd -bc f admin {a:12}
git config --global credential.helper 'store'; https://a:{a:40}@github.com
flask run --secret-key={a:32}
gpg --batch --passphrase {a:16} -d a
7z x -p{a:12} a.7z
unzip -P {a:12} a.zip
smbclient //h/s -U a%{a:12}
xfreerdp /u:a /p:{a:12} /v:h
sqlcmd -S db -U sa -P {a:12}
sqlplus a/{a:12}@db
rclone obscure {a:16}
ssh-keygen -t rsa -N {a:16} -f k
kubectl config set-credentials a --token={a:64}
oc login https://x --token=sha256~{w:43}
terraform apply -var 'db_password={a:14}'
ansible-playbook x.yml -e "ansible_become_pass={a:14}"
restic -r x --password-command 'echo {a:14}'
""".strip().split("\n")
"""Told by the place: of a command line, a protocol, a file or a URL."""

HARMLESS_NAMED = {
    "key_id token_id secret_id_name keyId accessKeyName": ["{x:16}", "main-{l:5}"],
    "cache_key cacheKey sort_key partitionKey s3_key objectKey": ["v1-deps-{x:40}", "users/{d:6}/photo.png", "{x:64}"],
    "public_key publicKey host_key": ["ssh-rsa AAAAB3NzaC1yc2E{a:100}", "{b:43}="],
    "publishable_key": ["pk_live_{a:24}"],
    "secret_name secretName secret_ref secretRef kms_key_name": ["app-db-{l:5}", "prod/app/db"],
    "secret_arn": ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-{a:6}"],
    "password_file token_path keyFile ssl_key private_key_path ssh_key": ["/run/secrets/db_{d:2}", "~/.ssh/id_ed25519_{d:2}", "certs/server-{d:2}.pem"],
    "token_endpoint password_reset_url": ["https://auth.acme.io/oauth/{d:3}"],
    "tokens total_tokens tokens_used keys_scanned passed passes": ["{d:4}", "{d:2}"],
    "password_changed_at token_expires_at key_created": ["2026-01-{d:2}T00:00:00Z"],
    "auth_type authMode auth authentication": ["iam-role-{d:2}", "oidc", "kubernetes"],
    "password api_key token secret": ["changeme", "your-api-key-here", "<your-token>", "${DB_PASSWORD}", "{{ vault_pw }}", "$(cat /run/x)",
        "REDACTED", "null", "xxxxxxxx", "op://vault/item/password", "%DB_PASSWORD%", "********", "[hidden]", "(sensitive value)", "!Ref DbPassword",
        "YOUR_API_KEY", "vault:secret/data/app#password", "<%= token %>", "#{token}", "${{ secrets.TOKEN }}", "ref+vault://a/b#c", "replace-me", "n/a", "enter_your_token"],
    "checksum digest sha256 etag integrity md5": ["{x:64}", "sha256-{b:43}=", "{x:32}", 'W/"{x:32}"'],
    "id request_id trace session_id user": ["req_{a:24}", "{uuid}", "usr_{u:26}", "evt_{a:24}", "01H{u:23}", "i-0{x:16}", "sg-{x:17}", "{a:22}", "{a:27}", "cmpl-{a:29}"],
    "image pod node container": ["web-{x:10}-{n:5}", "acme/web:{x:40}", "ip-10-0-{d:2}-{d:2}.ec2.internal", "{x:64}", "acme/web@sha256:{x:64}"],
    "file path url": ["/usr/lib/python3.11/site-packages/token_{d:2}.py", "https://acme.io/docs/api-keys?page={d:2}", "https://docs.google.com/document/d/{w:44}/edit",
        "https://cdn.acme.io/assets/index-{a:8}.js", "https://github.com/a/b/blob/{x:40}/auth.py", "https://img.acme.io/{uuid}.png", "s3://bucket/keys/{d:8}/part-{d:5}-{uuid}.parquet"],
    "model dataset branch": ["Qwen2.5-Coder-32B-Instruct-{d:2}", "feature/rotate-api-keys-{d:4}", "ft:model-mini:acme::{a:8}"],
    "address wallet cid txid": ["0x{x:40}", "bc1q{l:38}", "Qm{a:44}", "{x:64}"],
    "fingerprint key_fingerprint": ["SHA256:{b:43}", "{x:2}:{x:2}:{x:2}:{x:2}:{x:2}:{x:2}"],
}
HARMLESS_LINES = r"""
The compass shows north; passengers: {d:3}
error: unexpected token '{n:6}' at line {d:2}
def login(user: str, password: str | None = None) -> Token: # {d:2}
const token: string | undefined = getToken({d:2});
password VARCHAR(255) NOT NULL, -- {d:2}
if token == expected_token and key in cache: # {d:2}
token := r.Header.Get("X-Token") // {d:2}
valueFrom:\n  secretKeyRef:\n    name: db-{n:5}\n    key: password
WWW-Authenticate: Bearer realm="acme-{d:3}", error="invalid_token"
password = input("Password: ") # {d:2}
secret = client.get_secret("prod/{n:6}")
apiKey: process.env.API_KEY_{d:2},
tests: {d:3} passed, 2 failed; key=value pairs
The API key must be at least {d:2} characters long
Please rotate the signing key every {d:2} days
Key rotation finished for {uuid}
Invalid API key provided. See https://acme.io/docs/{d:4}
user token expired for request {uuid}
login failed for user bob{d:3}: wrong password
SELECT token, secret FROM t WHERE id = {d:5}
pull secret/regcred-{n:5} created
git commit {x:40} fixes token parsing
Downloading auth-lib-2.{d:2}.0.tar.gz sha256:{x:64}
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{a:43} bob@host
-----BEGIN CERTIFICATE-----\n{b:64}\n{b:64}\n-----END CERTIFICATE-----
Set-Cookie header missing for {d:4}
token bucket size {d:4}, refill {d:2}/s
keyboard layout de-{d:4}
author: {n:6} authored {d:3} commits
Primary key violation on users_pkey ({d:6})
foreign key (user_id) references users(id) {d:3}
passing {d:3} tokens to the tokenizer
sk-SK locale and pk_{d:4} table
the pass rate is {d:2}.5%
pin {d:2} is high; gpio pin: {d:2}
spinning up pod web-{x:10}-{n:5}
Authorization: Bearer <token> {d:2}
Authorization header uses the {n:6} scheme
export API_KEY=$(vault read -field=key secret/{n:5})
curl -H "Authorization: Bearer $TOKEN" https://x/{d:3}
curl -u "$USER:$PASS" https://x/{d:3}
--password-file /run/secrets/pw{d:2}
postgresql://localhost:{d:4}/app
https://acme.io/reset-password?lang=de&step={d:1}
signature: (self, token: str, n: int = {d:2}) -> None
@app.post("/token") # {d:2}
from app.auth.tokens import TokenStore{d:2}
public static String getPassword(int a{d:2}) {
data:image/png;base64,iVBORw0KGgo{b:200}
otp module loaded in {d:4} ms
""".strip().split("\n")
