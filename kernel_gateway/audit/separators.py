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
    rf"[ ](?i:like|to|eq|equals)[ ](?=[\"'])|[ ]<-[ ]?(?=[\"'])"
    rf"|[ ]\.[ ](?=\")|[ ]\.{{4,60}}[ ](?=[^\s.])|=3D|[=]>|:=|\?=|={{1,3}}"
    rf"|::?|[\uff1a\uff1d]|\\u003[dD]"
    rf"|&\#61;){_MARKS}{SPACE}"
    rf"(?:!(?!(?:Ref|Sub|GetAtt|vault|ImportValue|secret|env|Join|include)\b)!?[\w-]{{1,24}}[ ])?"
    rf"(?:&[\w-]{{1,24}}[ ])?(?:Str\((?=[^\"'()\s]{{6,}}\)))?"
    r"(?:\n?[ ]{0,16}string\(\d{1,5}\)[ ](?=\"))?(?:(?:Some|Ok|Just|ConvertTo-SecureString"
    r"|(?:[\w.]{1,24}\.)?Secret(?:Str|String|Bytes)?(?:::new)?|String(?:::from)?"
    r"|bytes|str|sensitive|(?i:crypt|password|md5|sha1|sha256|sha2|encrypt|nonsensitive|encode|token|key)|[\w.]{0,24}b64decode|base64encode|(?:[\w.]{1,24}\.)?from(?:hex|_hex|String)"
    r"|Buffer\.from|new[ ]\w{1,32}|\w{1,24}(?:Credential|Password|Token|Key|Secret))[ (]{1,2}(?=[b]?[\"'`])"
    r"|<<(?=\")|[NE](?=')|\[\[(?=[^\[\]\s]{6,256}\]\])"
    r"|q{1,2}[(\[{|/](?=[^\s()\[\]{}|/]{6,256}[)\]}|/]))?"
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
_NO_VALUE = r"(?!(?:a|button|form|h[1-6]|input|label|legend|option|select|script|style|th)\b)"
_INLINE = "(?:b|br|code|dd|div|em|font|i|kbd|mark|p|pre|samp|small|span|string|strong|td|tt|u|val|value)"
_OPENED = rf"(?:(?:<|&lt;){_NO_VALUE}(?P<{{}}>[\w:.-]{{{{1,24}}}})(?:[ ][^<>\n]{{{{0,100}}}})?(?:>|&gt;)\s{{{{0,32}}}})"
IN_NEXT_ELEMENT = re.compile(
    r"[ ]?:?(?:(?:</|&lt;/)[\w:.-]{1,24}(?:>|&gt;)[ ]?:?\s{0,32}(?:\\n\s{0,32})?){1,3}"
    rf"{_OPENED.format('element')}{{0,3}}(?=[^<\s])"
    rf"|[ ]?(?:[:=]|(?:is|was)(?=[ ]))?\s{{0,32}}(?=(?:<|&lt;){_INLINE}\b){_OPENED.format('inner')}{{1,3}}(?=[^<\s])"
)
# elements whose text may be a value of several words
WHOLE = frozenset({"td", "dd", "string", "value", "val", "code", "pre", "tt", "kbd", "samp"})
LABELLED = re.compile(  # <label>password</label> <input value="...">
    r"[ ]?[:*]?\s{0,16}(?:</\w{1,16}>\s{0,32}(?:<br ?/?>)?){1,3}<(?:input|textarea)\b[^<>]{0,200}?\bvalue=(?=[\"'])"
)
VALUE_AHEAD = re.compile(  # {"value": "...", "name": "password"}, <input value="..." name="password">
    rf"(?i:value|val|content){QUOTE}?{SPACE}[:=]{SPACE}{QUOTE}(?P<value>(?:(?!{QUOTE})[^<>\n]){{4,512}}){QUOTE}"
    rf"(?:,\s{{0,32}}|\s{{1,32}}){QUOTE}?(?i:name|key|id|field){QUOTE}?{SPACE}[:=]{SPACE}{QUOTE}[\w:./-]{{0,64}}$"
)
FALLBACK = re.compile(  # getenv("X") or "...", process.env.X ?? "...", env::var("X").unwrap_or("...")
    rf"{QUOTE}?{SPACE}[\])}}]{{0,2}}{SPACE}(?:or(?=[ ])|\|\||\?\?|\?:|//(?=[ ])"
    rf"|\.(?:unwrap_or|or_else|orElse|getOrElse|default|else)\w{{0,8}}\(){SPACE}(?={QUOTE})"
)
TAG = re.compile(r":[\w.-]")  # of an image: registry/auth:2.1
BELOW = re.compile(  # alone on a line under its name: a heading, or a sentence that ends with a colon
    r"[*_`]{0,3}(?:[ ]\w{1,16}){0,4}:?[*_`]{0,3}[ \t]{0,4}(?:\r?\n[ \t]{0,8}){1,2}(?:```\w{0,12}\r?\n)?[ \t]{0,16}`?"
    r"(?P<value>[^\s\"'`<>{}\[\]]{8,4096})(?=`?[ \t]{0,8}(?:\r?\n|$))"
)
MEASURED = re.compile(  # a length between: of Redis, of PHP
    r"(?:\r\n|\\r\\n)\$\d{1,5}(?:\r\n|\\r\\n)|\\{0,3}\";s:\d{1,5}:(?=\\{0,3}\")"
)
CALLED = re.compile(rf"\({SPACE}[bru]?(?={QUOTE})")
SETTER = re.compile(r"^(?:set|with|use)_?[A-Za-z]", re.IGNORECASE)
# Words after which comes a name, and then its value without a sign between them.
SETTING = re.compile(
    r"(?:\b(?:setenv|SetEnv|setx|header_up|set-header|setq|let|set|SET|ENV|env|header|proxy_set_header"
    r"|add_header|fastcgi_param|secret[ ]set"
    r"|secrets[ ]set|config[ ]set|config[ ]add|set-secret|putenv|setting"
    r"|Set-Item[ ]Env:|kv[ ]put|param(?:eter)?[ ]set|vars?[ ]set)(?:[ ]-{1,2}[\w-]{1,16})*|requirepass"
    r"|define)[\"']?[ \t]{1,4}[\"'$]?(?:[\w:./-]{1,64}[:./])?$"
)
AFTER_SETTING = re.compile(
    rf"{QUOTE}?(?:[ ]--?(?:body|value|v|b)(?:=|[ ])|[ \t]{{1,16}}(?:\{{(?=[^\s{{}}]{{6,256}}\}}))?)(?!=)"
)
# The value first: 'hunter2' as the password
VALUE_BEFORE = re.compile(
    r"([\"'`])(?P<value>[^\"'`\s]{6,256})\1[ ](?:as|is|for|=|was)[ ](?:(?:the|a|an|my|our|your|its|their|new|old"
    r"|current|\w{1,16}'s)[ ]){0,3}(?:\w{1,16}[ ])?$"
)
# A parameter of a template: name, its type, its default
DEFAULT = re.compile(
    rf"{QUOTE}?{SPACE}(?:[:=]{SPACE}\{{?|\{{)"
    rf"(?:\r?\n[ \t]{{1,32}}{QUOTE}?(?:Type|Description|NoEcho|type|description|sensitive)"
    rf"{QUOTE}?{SPACE}[:=][^\n]{{0,200}}){{0,4}}"
    rf"\r?\n[ \t]{{1,32}}{QUOTE}?(?i:default|value){QUOTE}?{SPACE}[:=]{SPACE}"
)
OPTION_BESIDE = re.compile(
    r"[\"']?[ ]{1,2}(?:/t REG_\w{2,9} )?(?:/d[ ]|--(?:value|secret-string|body|data|string-value)[ =])"
)
ATOM = re.compile(r",?[ ](?:<<)?(?=\")")  # {name, "value"}, {:name "value"}
# ("password", "..."), ["password", "..."]; what a colon follows is a name of its own
IN_PAIR = re.compile(rf"{QUOTE}{SPACE},{SPACE}(?![bru]?{QUOTE}[\w .$-]{{0,48}}{QUOTE}\s{{0,8}}:)(?=[bru]?{QUOTE})")
# a value that tells its type: {"stringValue": "..."}, {"S": "..."}
_TYPED = rf"(?:\{{\s{{0,32}}{QUOTE}?\w{{1,24}}{QUOTE}?\s{{0,4}}:\s{{0,4}}(?={QUOTE}))?"
_ATTRIBUTES = rf"(?:\s{{1,8}}[\w:-]{{1,32}}(?:={QUOTE}[^<>\"'\n\\]{{0,64}}{QUOTE})?(?=[\s/>])){{0,5}}"
BESIDE_VALUE = re.compile(  # {"name": "password", "value": "..."}, key="password" value="...", YAML on two lines
    rf"{QUOTE}(?:\s{{0,32}}[\]}}])?{_ATTRIBUTES}(?:\s{{0,32}},\s{{0,32}}{QUOTE}[\w-]{{1,24}}{QUOTE}\s?:\s?"
    rf"(?:{QUOTE}[^\"'\\\n]{{0,64}}{QUOTE}|true|false|null|\d{{1,9}})){{0,4}}"
    rf"(?:\s{{0,32}},)?\s{{0,32}}(?:{QUOTE}?(?i:[\w-]{{0,20}}value|content(?==)|val|v){QUOTE}?"
    rf"|{QUOTE}(?i:default|data|new|to|after|input|content|text|secret){QUOTE}(?={SPACE}:))"
    rf"(?:{SPACE}[:=]{SPACE}{_TYPED}|\s{{1,4}}{_TYPED}(?<=[\s:]))(?=\S)"
    rf"|[ \t]{{0,16}}{BREAK}[ \t]{{0,64}}(?i:value){SPACE}:{SPACE}|,?[ ]{{1,8}}(?i:value|val)[:=]{SPACE}"
    rf"|[?]?{BREAK}[ ]{{0,16}}(?:A:|:)[ ]{{1,4}}(?=\S{{6}})"  # an answer; a term and what it means
)
IN_ELEMENT = re.compile(
    rf"{QUOTE}{_ATTRIBUTES}\s{{0,8}}>\s{{0,32}}(?:<(?i:value)>)?(?=[^<\s])"
)  # <entry key="password">
IN_TAG = re.compile(r"(?:[ \t][^<>\n]{0,100})?(?:>|&gt;)(?:<!\[CDATA\[)?")
NAMESPACE = re.compile(r"(?:<|&lt;)[\w.-]{1,32}:$")
AFTER_FLAG = re.compile(r"(?:[ \t]{1,16}|\x00|\\x00|\\u0000)(?:\\\r?\n[ \t]{1,16}|\\\\n[ \t]{1,16})?(?!-)")
IN_PROSE = re.compile(
    rf"{QUOTE}?[ \t]{{1,4}}(?:[|\u2502][ \t]{{1,8}})?"
    rf"(?P<copula>(?i:for)[ ][^\s:=]{{1,64}}[ ]{{0,4}}(?:[:=]|is(?=[ ]))[ ]{{0,4}}"
    rf"|(?i:->|[-\u2013\u2014\u2192]|(?:(?:is|was|be|been|has|have|now)[ ]){{0,3}}"
    rf"(?:(?:re)?set|changed|updated|rotated|initiali[sz]ed)[ ](?:to|from)|is[ ]now|with[ ]value"
    rf"|is|was|to|as|be|of|value"
    rf"|provided|supplied|given|(?:expected[ ]\d{{1,4}}[ ]\w{{1,12}},[ ])?got)[ \t]{{0,4}}:?[ \t]{{1,4}}"
    rf")?"
)

IN_FORM = re.compile(
    rf"\\{{0,15}}[\"']?(?:{BREAK}[ ]?[\w-]{{1,32}}:[ ][^\r\n\\]{{1,200}}){{0,4}}(?:{BREAK}[ ]?){{2}}"
)  # name="password", an empty line: multipart/form-data
# "old" -> "new", as a plan or a diff shows it
CHANGED = re.compile(r"[\"'][ ]{0,4}(?:->|=>|\u2192)[ ]{0,4}[\"'](?P<value>(?!\[redacted)[^\"'\n]{4,4096})")
