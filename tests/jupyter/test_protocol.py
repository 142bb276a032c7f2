"""What a Jupyter front end finds that others' tests do not hold: what is absent is not offered, and nothing waits."""

from queue import Empty

import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from tests.conftest import IMAGE
from tests.jupyter.blocking import SandboxedKernelManager
from tests.jupyter.suites import LAUNCHERS

REPLY_SECONDS = 30


@pytest.fixture(params=LAUNCHERS)
def manager(request, monkeypatch, tmp_path):
    """A running kernel's manager, which wrote a connection file into the test's folder."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    settings = {"sandbox": {"image": str(IMAGE), **LAUNCHERS[request.param]}}
    monkeypatch.setattr(SandboxedKernelManager, "settings", settings)
    manager = SandboxedKernelManager()
    manager.start_kernel()
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.fixture
def client(manager):
    """A front end that was given nothing but the connection file."""
    client = BlockingKernelClient(connection_file=manager.connection_file)
    client.load_connection_file()
    client.start_channels()
    client.wait_for_ready(timeout=REPLY_SECONDS)
    yield client
    client.stop_channels()


def printed(client, code, **options):
    """What a cell wrote to its standard output."""
    texts = []

    def take(message):
        if message["msg_type"] == "stream":
            texts.append(message["content"]["text"])

    reply = client.execute_interactive(code, timeout=REPLY_SECONDS, output_hook=take, **options)
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(texts)


def test_no_feature_is_advertised_whose_requests_are_refused(client):
    client.kernel_info()
    info = client.get_shell_msg(timeout=REPLY_SECONDS)["content"]
    assert (info["implementation"], info["supported_features"]) == ("agent-kernel", [])


@pytest.mark.parametrize("kind", ["debug_request", "usage_request", "create_subshell_request", "list_subshell_request"])
def test_a_refused_request_gets_no_reply_and_the_next_one_does(client, kind):
    client.control_channel.send(client.session.msg(kind, {"command": "initialize"}))
    asked = client.session.msg("kernel_info_request")
    client.control_channel.send(asked)
    reply = client.get_control_msg(timeout=REPLY_SECONDS)
    assert reply["parent_header"]["msg_id"] == asked["header"]["msg_id"]
    with pytest.raises(Empty):
        client.get_control_msg(timeout=0)
    assert printed(client, "print('it goes on')") == "it goes on\n"


def test_a_cell_asks_the_person_at_the_front_end(client):
    def answer(request):
        assert request["content"] == {"prompt": "name? ", "password": False}
        client.input("Ada")

    assert printed(client, "print('hello', input('name? '))", allow_stdin=True, stdin_hook=answer) == "hello Ada\n"


def test_a_cell_imports_a_module_that_it_wrote(client):
    wrote = "from pathlib import Path\nPath('written_here.py').write_text('answer = 42')\n"
    assert printed(client, f"{wrote}import written_here\nprint(written_here.answer)") == "42\n"


def test_a_module_that_a_cell_wrote_takes_no_other_modules_place(client):
    wrote = "from pathlib import Path\nPath('colorsys.py').write_text('')\n"
    assert printed(client, f"{wrote}import colorsys\nprint(hasattr(colorsys, 'rgb_to_hsv'))") == "True\n"


def test_a_kernel_that_is_asked_to_shut_down_says_so_and_ends_by_itself(manager, client):
    client.shutdown()
    assert client.get_control_msg(timeout=REPLY_SECONDS)["content"] == {"status": "ok", "restart": False}
    manager.finish_shutdown(waittime=REPLY_SECONDS)
    assert manager._shutdown_status.name == "Unset"  # neither terminated nor killed
