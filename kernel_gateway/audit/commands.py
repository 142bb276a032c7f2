"""Secrets that a command line takes in a fixed place: `mysql -psecret`, `curl -u name:secret`, `echo secret | sudo -S`.

Which option of which program, as their manuals say; the value of a long option with a telling name needs no row here.
"""

import re
from collections.abc import Iterator

from kernel_gateway.audit.judge import is_reference
from kernel_gateway.audit.spans import Rule, Rules, Span

# programs, then the options whose argument is a password or key: of one letter also without a space, where it says so
_OPTIONS = r"""
mysql mysqldump mysqladmin mysqlimport mariadb mariadb-dump mycli       -p+
sshpass                                                                -p
docker+login podman+login buildah+login skopeo+login helm+registry nerdctl+login oras+login crane   -p --password
mongo mongosh mongodump mongorestore mongoexport mongoimport mongostat   -p --password
redis-cli valkey-cli keydb-cli                                          -a --pass
ldapsearch ldapmodify ldapadd ldapdelete ldapwhoami ldappasswd          -w -s
openssl                                                                -k -K -passin -passout -pass
keytool jarsigner                                                      -storepass -keypass -srcstorepass -deststorepass
az+login                                                               -p --password
sqlcmd bcp osql isql                                                   -P
unzip zip                                                              -P
7z 7za 7zr rar unrar                                                   -p
ssh-keygen                                                             -N -P
smbclient rpcclient                                                    --password
wget                                                                   --password --http-password --ftp-password
impala-shell beeline hive vsql snowsql cqlsh dse                       -p -w --password
rabbitmqadmin kafkacat influx                                          -p --password
cf+login oc+login argocd+login vsphere govc                            -p --password
ipmitool xfreerdp rdesktop vncviewer                                   -P -p
pscp plink psftp                                                       -pw
cryptsetup veracrypt                                                   -p --password
gpg gpg2                                                               --passphrase
ansible ansible-playbook                                               --vault-password
nmcli                                                                  password psk
twine                                                                  -p
useradd usermod conan psexec psexec64 crackmapexec nxc netexec evil-winrm racadm   -p --password
security                                                               -w -p
codecov                                                                -t --token
gem                                                                    --key
nuget dotnet+nuget                                                     -k -p
bw                                                                     unlock
eas expo fastlane                                                      -p
schtasks signtool                                                      /rp /p
snmpget snmpwalk snmpbulkwalk snmpset snmptable snmptrap               -c -A -X
pgbouncer clickhouse-client clickhouse                                 --password
vault+login vault+unseal+operator                                      -token
lftp ncftp ftp                                                         -p
"""
_ARGUMENT = r"[\"']?(?:pass:)?(?![-/$<{]|env:|file:|fd:|stdin|[^\s\[]{0,64}\[redacted)([^\s\"'|;&<>]{3,256})"
_AFTER = r"[^\n|;&]{0,200}?"
_LOGIN = re.compile(  # name:password
    r"(?<![\w-])(?:-u[= ]?|--user[= ]|--proxy-user[= ]|-a[ ]|--auth[= ]|--login[= ]"
    r"|-U[ ]?)[\"']?[^\s:\"'/%]{0,128}:(?!\w+\])([^\s\"'/][^\s\"']{0,256})"
)


def _options() -> Iterator[Rule]:
    for line in _OPTIONS.strip().splitlines():
        cells = line.split()
        options = [cell for cell in cells if cell.startswith(("-", "/")) or cell in ("password", "psk", "unlock")]
        for program in cells[: -len(options)]:
            first, *more = program.split("+")
            words = "".join(rf"[ ]{{1,4}}{word}" for word in more)
            for option in options:
                # -psecret: letters that follow would be another option, unless the program has none such
                glued = (
                    r"[ =]?"
                    if option.endswith("+") or (len(option) == 2 and first in ("sshpass", "7z", "7za"))
                    else "[ =]{1,4}"
                )
                called = rf"(?<![\w-]){re.escape(first)}(?:\.exe)?{words}\b{_AFTER}"
                pattern = rf"{called}[ ]{re.escape(option.rstrip('+'))}{glued}{_ARGUMENT}"
                yield Rule(first, re.compile(pattern), "password")


_RULES = Rules(
    [
        *_options(),
        *(Rule(option, _LOGIN, "password") for option in ("-u", "--user", "--proxy-user", "-a ", "--auth", "--login")),
        # curl -ualice:secret, where an option can stand against its value
        Rule("curl ", re.compile(r"curl [^\n|;&]{0,200}?-u[\"']?[^\s:\"'/]{1,128}:([^\s\"']{1,256})"), "password"),
        # what is handed over by a pipe
        *(
            Rule(
                echo,
                re.compile(
                    rf"{re.escape(echo)}(?:-[ne]{{1,2}} )?(?:'%s(?:\\n)?' |\"%s\""
                    rf" )?[\"']?(?:[\w.-]{{1,32}}:)?(?!\$)([^\s\"'|]{{4,4096}})[\"']?\s{{0,4}}\|\s{{0,4}}"
                    r"(?:sudo[ ](?!-S)|[\w./-]{1,32}[ ]){0,2}?(?:[^\n|]{0,120}?(?:-stdin\b|--with-token|secret"
                    r" (?:create|put|set|add)|env add|login"
                    r"|passwd)|sudo -S|chpasswd|smbpasswd|cryptsetup|base64)"
                ),
                "password",
            )
            for echo in ("echo ", "printf ", "echo -n ")
        ),
        Rule("<<<", re.compile(r"(?<=token )<<< ?[\"']?(?!\$)([^\s\"']{8,4096})"), "token"),
        Rule(
            "<<<",
            re.compile(
                r"(?<=[ ])<<<[ ]?[\"']?(?!\$)((?=\S{0,64}(?:\d|[A-Z]))"
                r"(?=\S{0,64}[A-Za-z])[^\s\"']{6,4096})[\"']?(?=\s*(?:$|[;|&\n\\]))"
            ),
            "password",
        ),
        # who, then the password, of any program: `-u name -p secret`; a number there is a port
        *(
            Rule(
                option,
                re.compile(
                    rf"{option}[= ][\"']?[\w.@\\-]{{1,64}}[\"']?(?:[ ](?!-p)[^\s|;&]{{1,64}}){{0,4}}"
                    r"[ ]-p[ ][\"']?(?![-/.$<\d\[])(?=\S{0,64}[\dA-Z!#%^&*])([^\s\"'|;&:]{6,128})"
                ),
                "password",
            )
            for option in (" -u", " -U", " --user", " --username")
        ),
        Rule(
            "http-basic.",
            re.compile(r"http-basic\.[\w.-]{1,128} [\w.@-]{1,64} (?![$\[-])([^\s\"']{4,256})"),
            "password",
        ),
        Rule("github-oauth.", re.compile(r"github-oauth\.[\w.-]{1,128} (?![$\[-])(\w{20,256})"), "token"),
        Rule("wpa_passphrase ", re.compile(r"wpa_passphrase \S{1,64} (?![$\[])([^\s\"']{8,63})"), "password"),
        Rule("lftp ", re.compile(r"lftp [^\n|;&]{0,60}?-u [\w.@-]{1,64},(?!\$)([^\s\"']{4,128})"), "password"),
        *(
            Rule(
                program,
                re.compile(rf"{program}(?:userid=)?\w{{1,32}}/(?![$/])([^\s/@\"'.]{{4,64}})(?=@| \w+=)"),
                "password",
            )
            for program in ("sqlldr ", "exp ", "imp ", "expdp ", "impdp ", "using ")
        ),
        Rule("sudo", re.compile(r"sudo -S[^\n|;&]{0,40}<<< ?[\"']?(?!\$)([^\s\"']{3,256})"), "password"),
        *(
            Rule(
                echo,
                re.compile(
                    rf"{echo}(?:-[ne]{{1,2}} )?(?:'%s(?:\\n)?' |\"%s\" )?[\"']?(?!\$)"
                    rf"([^\s\"'|]{{4,4096}})[\"']?[ ]{{1,4}}>{{1,2}}[ ]?"
                    r"[\w./~-]{0,120}(?:secret|passw|token|key|cred|pgpass|netrc|vault)",
                ),
                "secret",
            )
            for echo in ("echo ", "printf ")
        ),
        Rule("::add-mask::", re.compile(r"::add-mask::([^\s]{4,4096})"), "secret"),
        Rule("net u", re.compile(r"net use [^\n]{1,200}?/user:\S{1,64}[ ]{1,4}([^\s/*][^\s]{2,128})"), "password"),
        Rule("net user ", re.compile(r"net user \S{1,64} ([^\s/*][^\s]{2,128})"), "password"),
        Rule("/p:", re.compile(r"(?<=[ ])/p:[\"']?([^\s\"']{3,128})", re.I), "password"),
        Rule("/password:", re.compile(r"/password:[\"']?([^\s\"']{3,128})", re.I), "password"),
        Rule(
            "htpasswd ",
            re.compile(r"htpasswd [^\n|;&]{0,100}?-\w{0,4}b\w{0,4} (?:[^\s-]\S{0,200} )?\S{1,64} ([^\s]{3,128})"),
            "password",
        ),
        Rule("smbclient ", re.compile(r"smbclient [^\n|;&]{0,200}?-U[ ]?[^\s%]{1,64}%([^\s\"']{3,128})"), "password"),
        Rule("sqlplus ", re.compile(r"sqlplus (?:-\w+ ){0,4}[\"']?[\w.]{1,64}/([^\s@\"']{3,128})@"), "password"),
        Rule("rclone ", re.compile(r"rclone obscure ([^\s-]\S{2,128})"), "password"),
        Rule("password-command ", re.compile(r"password-command [\"']?(?:echo|printf) ([^\s\"']{3,128})"), "password"),
        Rule("vault login ", re.compile(r"vault login (?:-[\w=-]+ ){0,4}([\w.]{16,256})"), "token"),
        Rule("unseal ", re.compile(r"operator unseal ([\w+/=]{16,256})"), "key"),
        Rule("expect", re.compile(r"send [\"']([^\"'\\\n]{4,128})\\r"), "password"),
        # of configuration files that put a value behind a word
        *(
            Rule(
                word,
                re.compile(rf"(?<![\w-]){word}[ \t]{{1,8}}[\"']?(?![$<{{]|\[redacted|no\b)([^\s\"']{{4,256}})", re.I),
                "password",
            )
            for word in (
                "requirepass",
                "masterauth",
                "sentinel auth-pass",
                "primaryauth",
                "ldap_bind_password",
                "keyring_password",
            )
        ),
        Rule(
            "community ",
            re.compile(
                r"(?:snmp-server|snmp|rocommunity|rwcommunity|set)[^\n]{0,20}community[ ]{1,4}"
                r"([^\s\"'<]{4,64})(?=[ ](?:ro|rw|view|ipv4)\b|\s*$)",
                re.I | re.M,
            ),
            "community",
            before=0,
        ),
        Rule("snmp-server community ", re.compile(r"snmp-server community ([^\s\"'<]{4,64})", re.I), "community"),
        *(
            Rule(word, re.compile(rf"{word}[ ]{{1,4}}([^\s\"'<]{{4,64}})", re.I), "community")
            for word in ("rocommunity", "rwcommunity", "rouser", "rwuser")
        ),
        Rule("enable ", re.compile(r"enable (?:secret|password) (?:\d )?([^\s\"']{4,128})", re.I), "password"),
        Rule(
            "username ",
            re.compile(
                r"username \S{1,64} (?:privilege \d{1,2} )?(?:secret|password) (?:\d )?([^\s\"':=]{4,128})", re.I
            ),
            "password",
        ),
        Rule("key-string ", re.compile(r"key-string (?:\d )?([^\s\"']{4,128})", re.I), "key"),
        Rule("user add ", re.compile(r"(?:add_user|user add) \S{1,64} ([^\s-]\S{3,128})", re.I), "password"),
        Rule("add_user ", re.compile(r"(?:add_user|change_password) \S{1,64} ([^\s-]\S{3,128})", re.I), "password"),
        Rule("change_password ", re.compile(r"change_password \S{1,64} ([^\s-]\S{3,128})", re.I), "password"),
        Rule(
            "machine ",
            re.compile(r"machine\s{1,9}\S{1,255}\s{1,9}login\s{1,9}\S{1,255}\s{1,9}password\s{1,9}(\S{1,256})"),
            "password",
        ),
        Rule("doctl ", re.compile(r"doctl auth init[^\n]{0,40}? (?:-t|--access-token)[ =]([\w-]{16,256})"), "token"),
        Rule("auth:token ", re.compile(r"auth:token ([\w-]{16,256})"), "token"),
        Rule(
            "login ",
            re.compile(r"(?<=\w )login [^\s\"':]{1,64} ([^\s\"':]{6,128})(?=\s*(?:\\r|\r|\n|$))", re.I),
            "password",
        ),
        Rule(
            "auth ",
            re.compile(
                r"(?:(?<=^)|(?<=[>\n\r\"'] )|(?<=[>\n\r\"']))AUTH (?:\w{1,32} )?"
                r"((?=\S{0,64}\d)[^\s\"']{8,256})(?=[\"'\s\\]|$)"
            ),
            "password",
        ),
        *(
            Rule(
                word,
                re.compile(
                    rf"{word}(?: ascii-text| hexadecimal)? (?:[0-9] )?[\"']?(?![$<{{]|ascii|hexa|\[redacted)"
                    rf"([^\s\"';:=]{{4,256}})",
                    re.I,
                ),
                "password",
            )
            for word in ("pre-shared-key", "isakmp key", "server key", "chap password", "bindpw", "rootpw", "auth_pass")
        ),
        Rule(":543", re.compile(r":543\d:[^\s:]{1,63}:[^\s:]{1,63}:([^\s\"'\\]{4,256})"), "password"),  # .pgpass
    ]
)


def find(text: str, lower: str) -> Iterator[Span]:
    for span in _RULES.find(text, lower):
        if not is_reference(text[span.start : span.end]):
            yield span
