"""What may stand between a secret's name and its value, in any language, markup or sentence."""

import re

from kernel_gateway.audit.spans import BREAK, QUOTE, SPACE

_TYPE = (
    r"(?:[&*]?(?:'\w{1,16}[ ])?[A-Za-z_][\w.:]{0,40}(?:[\[<(][\w.:, |\[\]<>&']{0,40}[\])>])?"
    r"(?:[ ]?\|[ ]?\w{1,16}|\?|[ ]?\*)?)"
)
_MARKS = r"(?:\*{1,2}|_{1,2})?"  # of Markdown
ASSIGNED = re.compile(
    rf"{QUOTE}?[\]\}})]?{_MARKS}{SPACE}(?:\.{{2,60}}(?=[ ]?:)[ ]?)?"
    rf"(?:[ ]{{1,8}}REG_(?:EXPAND_)?SZ(?=[ ])|[ ](?:As[ ])?[Ss]tring[ ]=|\{{[ ]?get;[^}}\n]{{0,40}}\}}{SPACE}="
    rf"|:{SPACE}{_TYPE}{SPACE}=(?={SPACE}[(\"'`\[]|[ ]\w)|:STRING=|"
    r"(?P<encoded>%(?:25)?3[AaDd]|%(?:25)?5[Dd]%(?:25)?3[Dd])|"
    rf"=3D|[=]>|:=|\?=|={{1,3}}|::?|[\uff1a\uff1d]|\\u003[dD]"
    rf"|&\#61;){_MARKS}{SPACE}(?:!![a-z]{{3,6}}[ ])?(?:Str\((?=[^\"'()\s]{{6,}}\)))?"
    r"(?:\n?[ ]{0,16}string\(\d{1,5}\)[ ](?=\"))?(?:(?:Some|Ok|Just|ConvertTo-SecureString"
    r"|(?:[\w.]{1,24}\.)?Secret(?:Str|String|Bytes)?(?:::new)?|String(?:::from)?"
    r"|bytes|str|sensitive|[\w.]{0,24}b64decode|base64encode|(?:[\w.]{1,24}\.)?from(?:hex|_hex|String)"
    r"|Buffer\.from|new[ ]\w{1,32}|\w{1,24}(?:Credential|Password|Token|Key|Secret))[ (]{1,2}(?=[b]?[\"'`]))?"
)
# arn:aws:secretsmanager:...:secret:name
RESOURCE = re.compile(r"(?:arn|urn|crn|ocid1|vault|op|ssm)[:.][\w:./*-]{0,72}:$")
# Between two cells, of a row that begins with a mark: | name | value |
IN_CELL = re.compile(rf"(?:{QUOTE}|\*{{1,2}})?[ \t]{{0,64}}(?:[|\u2502\u2551]|\\t|\t)(?:{QUOTE}|[ \t*]){{0,64}}")
CELL = re.compile(r"[^\s|\u2502\u2551\"'`\\]{4,4096}(?=[ \t\"'`*]{0,64}(?:[|\u2502\u2551\r\n\\]|$))")
RULE_BELOW = re.compile(
    r"[^\n]{0,512}\n[ \t]{0,8}[|+\u251c\u255e:-][ |+:=\u2500\u253c\u2550\u256a-]{2,}"
)  # the name is a heading
ROW_BEGINS = re.compile(r"(?:^|[\n|\u2502\u2551]|\\n)[ \t>*\"'`]{0,16}$")
# Closing one element, opening the next: <td>name</td><td>value</td>, <b>name:</b> value
IN_NEXT_ELEMENT = re.compile(
    r"[ ]?:?(?:(?:</|&lt;/)[\w:.-]{1,24}(?:>|&gt;)[ ]?:?\s{0,32}(?:\\n\s{0,32})?){1,3}(?:(?:<"
    r"|&lt;)[\w:.-]{1,24}(?:[ ][^<>\n]{0,100})?(?:>|&gt;)\s{0,32}){0,3}(?=[^<\s])"
)
# Words after which comes a name, and then its value without a sign between them.
SETTING = re.compile(
    r"(?:\b(?:setenv|SetEnv|setx|header_up|set-header|setq|let|set|SET|ENV|env|header|proxy_set_header"
    r"|add_header|fastcgi_param|secret[ ]set"
    r"|secrets[ ]set|config[ ]set|config[ ]add|set-secret|putenv|setting"
    r"|Set-Item[ ]Env:|kv[ ]put|param(?:eter)?[ ]set|vars?[ ]set)(?:[ ]-{1,2}[\w-]{1,16})*|requirepass"
    r"|define)[ \t]{1,4}[\"'$]?(?:\w{1,32}[:.])?$"
)
AFTER_SETTING = re.compile(rf"{QUOTE}?(?:[ ]--?(?:body|value|v|b)(?:=|[ ])|[ \t]{{1,16}})(?!=)")
# The value first: 'hunter2' as the password
VALUE_BEFORE = re.compile(
    r"([\"'`])(?P<value>[^\"'`\s]{6,256})\1[ ](?:as|is|for|=|was)[ ](?:(?:the|a|an|my|our|your|its|their|new|old"
    r"|current|\w{1,16}'s)[ ]){0,3}(?:\w{1,16}[ ])?$"
)
# A parameter of a template: name, its type, its default
DEFAULT = re.compile(
    rf"{QUOTE}?:{SPACE}\{{?(?:\r?\n[ \t]{{1,32}}{QUOTE}?(?:Type|Description|NoEcho|type|description|sensitive)"
    rf"{QUOTE}?{SPACE}[:=][^\n]{{0,200}}){{0,4}}"
    rf"\r?\n[ \t]{{1,32}}{QUOTE}?(?i:default|value){QUOTE}?{SPACE}[:=]{SPACE}"
)
OPTION_BESIDE = re.compile(r"[\"']?[ ]{1,2}--(?:value|secret-string|body|data|string-value)[ =]")
ATOM = re.compile(r",?[ ](?=\")")  # {name, "value"}, {:name "value"}
IN_PAIR = re.compile(rf"{QUOTE}{SPACE},{SPACE}(?=[bru]?{QUOTE})")  # ("password", "..."), ["password", "..."]
_ATTRIBUTES = rf"(?:\s{{1,8}}[\w:-]{{1,32}}={QUOTE}[^<>\"'\n\\]{{0,64}}{QUOTE}){{0,3}}"
BESIDE_VALUE = re.compile(  # {"name": "password", "value": "..."}, key="password" value="...", YAML on two lines
    rf"{QUOTE}{_ATTRIBUTES}(?:,\s{{0,32}}{QUOTE}[\w-]{{1,24}}{QUOTE}:[ ]?{QUOTE}[\w -]{{0,48}}{QUOTE}){{0,2}}"
    rf"(?:\s{{0,32}},)?\s{{0,32}}{QUOTE}?(?i:[\w-]{{0,20}}value|content(?==)|val|v){QUOTE}?{SPACE}[:=]{SPACE}"
    rf"|[ \t]{{0,16}}{BREAK}[ \t]{{0,64}}(?i:value){SPACE}:{SPACE}|,[ ]{{1,8}}(?i:value):{SPACE}"
)
IN_ELEMENT = re.compile(
    rf"{QUOTE}{_ATTRIBUTES}\s{{0,8}}>\s{{0,32}}(?:<(?i:value)>)?(?=[^<\s])"
)  # <entry key="password">
IN_TAG = re.compile(r"(?:[ \t][^<>\n]{0,100})?(?:>|&gt;)(?:<!\[CDATA\[)?")
NAMESPACE = re.compile(r"(?:<|&lt;)[\w.-]{1,32}:$")
AFTER_FLAG = re.compile(r"[ \t]{1,16}(?:\\\r?\n[ \t]{1,16}|\\\\n[ \t]{1,16})?(?!-)")
IN_PROSE = re.compile(
    rf"{QUOTE}?[ \t]{{1,4}}(?:[|\u2502][ \t]{{1,8}})?"
    rf"(?P<copula>(?i:->|[-\u2013\u2014]|is|was|(?:(?:was|is|been)[ ])?set[ ]to|(?:set[ ])?to|as|be|of|value"
    rf"|provided|supplied|given)[ \t]{{0,4}}:?[ \t]{{1,4}}"
    rf"|(?i:for)[ ][^\s:=]{{1,64}}[ ]{{0,4}}[:=][ ]{{0,4}})?"
)

IN_FORM = re.compile(rf"\\{{0,15}}[\"']?(?:{BREAK}[ ]?){{2}}")  # name="password", an empty line: multipart/form-data
# "old" -> "new", as a plan or a diff shows it
CHANGED = re.compile(r"[\"'][ ]{0,4}(?:->|=>|\u2192)[ ]{0,4}[\"'](?P<value>(?!\[redacted)[^\"'\n]{4,4096})")
