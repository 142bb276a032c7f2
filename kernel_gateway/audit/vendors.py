"""What issuers put in front of their tokens, as they document it so that scanners can find them.

One row each: label, prefixes (in either case), and what follows as a pattern in which `X{` is `[A-Za-z0-9]{` and `W{`
is `[A-Za-z0-9_-]{`. A prefix of up to five characters must stand at the beginning of a word.
A token of an issuer that is not here is told by its form: shapes.py.
"""

_TABLE = r"""
github          ghp_ gho_ ghu_ ghr_ ghb_        X{20,255}
github          ghs_                            [\w.-]{20,2000}
github          github_pat_                     \w{20,255}
gitlab          glpat- gldt- glrt- glcbt- glptt- glft- glsoat- glagent- glimt- glffct- gloas- glwt-   [\w.-]{16,300}
gitlab          gr1348941                       W{20}
bitbucket       atbb                            X{24,}
atlassian       atatt3 atctt3                   [\w=-]{60,}
trello          atta                            [0-9a-f]{64}
slack           xapp- xwfp-                     W{20,}
slack           xoxb- xoxp- xoxa- xoxr- xoxs- xoxc- xoxd- xoxo- xoxe- xoxe.   [\w.%-]{12,}
stripe          sk_live_ sk_test_ rk_live_ rk_test_ sk_org_   \w{16,}
webhook         whsec_                          [\w+/=-]{20,}
google          aiza                            W{30,45}
google          ya29.                           [\w.-]{20,}
google          gocspx-                         W{20,}
npm             npm_                            X{30,}
pypi            pypi-                           (?=W{0,60}\d)W{40,}
rubygems        rubygems_                       [0-9a-f]{40,}
docker          dckr_pat_ dckr_oat_             W{20,}
clojars         clojars_                        X{50,}
huggingface     api_org_                        X{20,}
openai          sk-proj- sk-svcacct- sk-admin-  W{20,}
xai             xai-                            X{40,}
perplexity      pplx-                           X{32,}
nvidia          nvapi-                          W{40,}
groq            gsk_                            X{20,}
langsmith       lsv2_pt_ lsv2_sk_               \w{30,}
langfuse        sk-lf-                          W{20,}
pinecone        pcsk_                           \w{30,}
tavily          tvly-                           W{20,}
firecrawl       fc-                             [0-9a-f]{32}(?!X)
elevenlabs      sk_                             [0-9a-f]{48}(?!\w)
jina            jina_                           X{40,}
together        tgp_v1_                         W{30,}
anyscale        esecret_                        X{20,}
cerebras        csk-                            X{40,}
runpod          rpa_                            X{30,}
openrouter      sk-or-                          W{20,}
vercel          vcp_ vci_ vca_ vcr_ vck_        W{24,}
digitalocean    dop_v1_ doo_v1_ dor_v1_         [0-9a-f]{40,}
cloudflare      cfut_ cfat_ cfk_                W{30,}
cloudflare      v1.0-                           [0-9a-f]{20,32}-[0-9a-f]{100,160}
databricks      dapi                            [0-9a-f]{32}(?:-[0-9])?
neon            napi_                           X{40,}
planetscale     pscale_tkn_ pscale_pw_ pscale_oauth_ pscale_pat_ pscale_otkn_   [\w.=-]{30,}
supabase        sbp_                            \w{32,}
supabase        sb_secret_                      W{16,}
prefect         pnu_ pnb_                       X{30,}
render          rnd_                            X{20,}
railway         rw_prod_ rw_dev_                X{16,}
fly             fm1_ fm2_ fo1_                  [\w+/=,-]{30,}
heroku          hrku-                           W{36,}
netlify         nfp_ nfc_ nfo_ nfu_             W{36,}
deno            ddp_ ddw_                       X{30,}
scalingo        tk-us-                          W{40,}
pulumi          pul-                            [0-9a-f]{40}
bedrock         absk                            [A-Za-z0-9+/]{60,}={0,2}
adobe           p8e-                            W{30,}
infracost       ico-                            X{32}
spacelift       spl_                            X{30,}
shopify         shpat_ shpca_ shppa_ shpss_ shpua_ shptka_   [0-9A-Fa-f]{32}
square          sq0atp- sq0csp- sq0idp-         W{20,}
square          eaaa                            (?=[A-Za-z_-]{0,40}\d)W{60}(?!X)
braintree       access_token$                   (?:production|sandbox)\$X{12,20}\$[0-9a-f]{32}
plaid           access-production- access-sandbox- access-development-   [0-9a-f]{8}-[0-9a-f-]{27}
flutterwave     flwseck                         (?:_test|_TEST)?-X{12,64}(?:-X)?
gocardless      live_                           W{36,44}(?!\w)
paystack        sk_                             (?:live|test)_X{30,}
razorpay        rzp_live_ rzp_test_             X{14,}
easypost        ezak eztk                       X{54}
shippo          shippo_live_ shippo_test_       [0-9a-f]{40}
duffel          duffel_live_ duffel_test_       W{30,}
lob             live_ test_                     [0-9a-f]{35}(?!\w)
mercadopago     app_usr-                        [\d-]{10,}[0-9a-f]{32}[\d-]{0,20}
vault           hvs. hvb. hvr.                  W{20,}
hashicorp       hcp.                            X{40,}
doppler         dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.   (?:W{2,35}\.)?X{40,}
1password       ops_eyj                         [\w=-]{100,}
1password       a3-                             [A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9-]{17}
infisical       st.                             [0-9a-f-]{20,36}\.[0-9a-f]{20,}\.[0-9a-f]{20,}
ory             ory_at_ ory_rt_ ory_ac_ ory_st_ ory_pat_ ory_apikey_   [\w.-]{20,}
age             age-secret-key-1                X{20,}
tailscale       tskey-                          W{20,}
ngrok           ak_                             2X{26}
grafana         glsa_                           \w{30,}
grafana         glc_                            [\w+/=-]{32,}
grafana         eyjrijoi                        [\w+/=]{40,}
newrelic        nrak- nrjs- nrii- nrra- nrbr-   W{16,}
newrelic        nral                            X{40}
sentry          sntrys_                         [\w+/=]{20,}
sentry          sntryu_ sntrya_ sntryx_         [0-9a-f]{32,}
dynatrace       dt0c01. dt0s01. dt0s02. dt0s03. dt0s04. dt0s06. dt0s08. dt0s09. dt0s16.   [A-Z0-9]{8,24}\.[A-Z0-9]{60,}
posthog         phx_ phs_                       X{30,}
honeycomb       hcaik_ hcaic_ hcalk_ hcamk_ hcxik_   X{30,}
logfire         pylf_v1_ pylf_v2_               \w{20,}
launchdarkly    api- sdk- mob-                  [0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?!\w)
statsig         secret-                         X{40,}
split           sdk_                            X{40,}
sendgrid        sg.                             W{16,}\.W{16,}
mailersend      mlsn.                           [0-9a-f]{60,}
sendinblue      xkeysib- xsmtpsib-              W{40,}
resend          re_                             X{6,10}_X{20,30}
postmark        pm_                             X{40,}
loops           lps_                            X{30,}
knock           sk_                             (?:test|live)_W{30,}
telegram        bot                             \d{8,10}:W{35}
discord         mfa.                            W{80,}
intercom        dg9r                            [A-Za-z0-9+/]{54,58}=
hubspot         pat-na1- pat-eu1- pat-na2- pat-ap1-   [0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}
typeform        tfp_                            W{40,}
contentful      cfpat-                          W{40,}
sanity          sk                              X{80,}(?!\w)
storyblok       sb_pat_                         X{20,}
readme          rdme_                           X{60,}
notion          ntn_                            X{30,}
linear          lin_api_ lin_oauth_ lin_wh_     X{30,}
figma           figd_ figo_ figu_ figoh_ figor_ W{20,}
airtable        pat                             X{14}\.[0-9a-f]{64}
asana           1/ 0/ 2/                        \d{14,18}(?:/\d{14,18})?:[0-9a-f]{32}
postman         pmak- pmat-                     [0-9A-Za-z]{20,}(?:-[0-9a-f]{30,})?
frameio         fio-u-                          W{60,}
miro            miro_                           X{27,}
dropbox         sl.                             (?:u\.)?W{100,}
calendly        cal_live_ cal_test_             X{20,}
wakatime        waka_                           [0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}
raycast         rca_                            X{40,}
sourcegraph     sgp_ slk_ sgd_                  \w{40,}
sonar           sqp_ squ_ sqa_ sqb_             [0-9a-f]{40}
buildkite       bkua_ bkct_ bkat_ bkaj_ bkcq_   X{40,}
circleci        ccipat_ ccirt_ ccioat_          \w{20,}
octopus         api-                            [A-Z0-9]{25,32}(?![A-Za-z0-9])
harness         pat. sat.                       W{20,24}\.[0-9A-Za-z]{24}\.X{20}
snyk            snyk_uat. snyk_sat.             [\w.-]{40,}
artifactory     cmvmdgtu                        X{40,}
jfrog           akc                             X{60,}
nuget           oy2                             [0-9a-z]{43}(?![0-9A-Za-z])
cargo           cio                             X{32}(?![A-Za-z0-9])
apify           apify_api_                      X{30,}
scrapfly        scp-live- scp-test-             X{30,}
mapbox          sk.eyj                          [\w.-]{60,}
inngest         signkey-                        W{20,}
unkey           unkey_                          X{16,}
clerk           ak_ sk_                         (?:test|live)_X{30,}
workos          sk_                             (?:test|live)_X{30,}
weightsbiases   wandb_v1_                       \w{40,}
replicate       r8_                             X{32,}
fireworks       fw_                             X{22,}
modal           ak- as-                         X{22}(?![\w-])
baseten         bt_                             X{30,}
adafruit        aio_                            X{28}(?!\w)
facebook        eaa                             (?=[A-Za-z]{0,40}\d)X{60,}
instagram       igq                             W{60,}
alibaba         ltai                            X{12,26}(?![A-Za-z0-9])
tencent         akid                            X{32}(?![A-Za-z0-9])
yandex          aqvn                            W{35,38}
yandex          t1.9                            [\w.-]{80,}={0,2}
yandex          y0_ y1_ y2_ y3_                 W{50,}
twilio          sk                              [0-9a-f]{32}(?![0-9A-Za-z])
akamai          akab-                           [a-z0-9]{16}-[a-z0-9]{16}
mailgun         key-                            (?<![\w-]key-)[0-9a-f]{32}(?![0-9a-f])
mailchimp       md-                             X{22}(?![\w-])
google          1//0 4/0a                       W{30,}
openshift       sha256~                         W{43}
kubernetes      k8s-aws-v1.                     W{40,}
approval        kga_                            W{20,}
secret-token    secret-token:                   [^\s"'<>]{8,}
fernet          gaaaaa                          W{60,}={0,2}
password-hash   $2a$ $2b$ $2y$                  \d\d\$[./\w]{50,}
password-hash   $1$ $5$ $6$ $8$ $9$ $y$ $7$ $apr1$ $pbkdf2$   [./\w$=,+-]{20,}
password-hash   $argon2i$ $argon2d$ $argon2id$  [./\w$=,+-]{20,}
password-hash   $scrypt$ $pbkdf2-sha256$ $pbkdf2-sha512$ $bcrypt-sha256$   [./\w$=,+-]{20,}
password-hash   pbkdf2_sha256$ pbkdf2_sha1$ bcrypt_sha256$ argon2$ scrypt$   [./\w$=,+-]{30,}
password-hash   {ssha} {ssha256} {ssha512} {sha} {crypt} {smd5}   [\w./+$=-]{20,}
password-hash   scram-sha-256$                  [\w./+$=:-]{40,}
private-key     b3blbnnzac1rzxktdje mc4caqawbqydk2vwbcie   [\w+/=]{20,}(?:(?:\s|\\[nr])+[\w+/=]{40,})*
private-key     mhccaqee mighageambmgbyqgsm49   [\w+/=]{20,}(?:(?:\s|\\[nr])+[\w+/=]{40,})*
"""


def _rows() -> tuple[tuple[str, str, str], ...]:
    rows = []
    for line in _TABLE.strip().splitlines():
        label, *prefixes = line.split()
        rest = prefixes.pop()
        rows += [
            (label, prefix, rest.replace("X{", "[A-Za-z0-9]{").replace("W{", "[A-Za-z0-9_-]{")) for prefix in prefixes
        ]
    return tuple(rows)


VENDORS = _rows()
