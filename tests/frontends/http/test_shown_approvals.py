"""What a person reads at `/v1/approvals` before saying yes."""

import pytest

from kernel_gateway.approvals.pending import Pending
from kernel_gateway.approvals.token import Terms
from kernel_gateway.auth.principal import Principal
from kernel_gateway.frontends.approvals import shown

ADA = Principal("https://issuer.test", "acme", "ada", "agent", "dev", frozenset(), 2e9)


@pytest.mark.parametrize(
    ("code", "read"),
    [
        ("delete()\rprint('looks')\n", "delete()<U+000D>\nprint('looks')\n"),
        ("n='\x1b]'; delete(); m='\x07'", "n='<U+001B>]'; delete(); m='<U+0007>'"),
        ("n='\x9d'; delete()", "n='<U+009D>'; delete()"),
        ("n='\x1b[2K'\n\tdelete()", "n='<U+001B>[2K'\n\tdelete()"),
    ],
)
def test_all_of_the_code_that_will_run_is_shown(code, read):
    terms = Terms(code, "ses_1", ADA.identity, (), "dev", "0:0", "c", "p", {})
    assert shown(Pending("apr_1", "cell", "person", ADA, terms, "?", "high", (), 0.0, 1.0))["code"] == read
