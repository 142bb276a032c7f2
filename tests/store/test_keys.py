import os
import stat
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kernel_gateway.errors import ConfigError
from kernel_gateway.store.keys import Keys


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state"


def test_a_secret_is_32_random_bytes_and_the_same_ever_after(folder):
    first = Keys(folder).secret("audit")
    assert len(first) == 32
    assert Keys(folder).secret("audit") == first
    assert Keys(folder).secret("handles") != first


def test_the_signing_key_is_the_same_ever_after(folder):
    signature = Keys(folder).signing().sign(b"x")
    Keys(folder).signing().public_key().verify(signature, b"x")


def test_only_this_user_can_open_a_key(folder):
    before = os.umask(0)
    try:
        keys = Keys(folder)
        keys.secret("audit")
        keys.signing()
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE((folder / "keys").stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder / "keys").iterdir()}
    assert modes == {"audit.key": 0o600, "signing.pem": 0o600}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o666])
@pytest.mark.parametrize("name", ["audit.key", "signing.pem"])
def test_a_key_that_others_can_open_is_refused_in_one_line(folder, mode, name):
    keys = Keys(folder)
    keys.secret("audit")
    keys.signing()
    (folder / "keys" / name).chmod(mode)
    with pytest.raises(ConfigError, match=r"others can open the key .* chmod 600") as refused:
        Keys(folder).secret("audit") if name == "audit.key" else Keys(folder).signing()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"short", bytes(31), bytes(33)])
def test_a_damaged_secret_is_refused_and_not_replaced(folder, content):
    Keys(folder).secret("audit")
    path = folder / "keys" / "audit.key"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is damaged"):
        Keys(folder).secret("audit")
    assert path.read_bytes() == content


def test_a_signing_key_of_another_kind_is_refused(folder):
    Keys(folder).signing()
    other = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content in (b"nonsense", other):
        (folder / "keys" / "signing.pem").write_bytes(content)
        with pytest.raises(ConfigError, match="is damaged"):
            Keys(folder).signing()


def test_a_link_or_a_folder_in_the_place_of_a_key_is_refused(folder, tmp_path):
    Keys(folder)
    (tmp_path / "elsewhere").write_bytes(bytes(32))
    (folder / "keys" / "audit.key").symlink_to(tmp_path / "elsewhere")
    (folder / "keys" / "other.key").mkdir(mode=0o700)
    with pytest.raises(ConfigError, match="cannot read the key"):
        Keys(folder).secret("audit")
    os.mkfifo(folder / "keys" / "pipe.key", 0o600)
    for name in ("other", "pipe"):
        with pytest.raises(ConfigError, match="not a regular file"):
            Keys(folder).secret(name)


@pytest.mark.parametrize("name", ["", "../audit", "Audit", "a/b", "a.b", "a" * 42])
def test_a_name_that_is_no_key_name_is_a_mistake_of_the_programmer(folder, name):
    with pytest.raises(ValueError, match="is not a key name"):
        Keys(folder).secret(name)


def test_the_longest_name_works(folder):
    assert len(Keys(folder).secret("a" * 41)) == 32


def test_a_key_folder_that_others_can_write_to_is_refused(folder):
    Keys(folder)
    (folder / "keys").chmod(0o770)
    with pytest.raises(ConfigError, match="others can write"):
        Keys(folder)


def give_away(path, monkeypatch):
    """To another user; where this one may not, it becomes another itself."""
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)


@pytest.mark.parametrize("name", ["", "keys"])
def test_a_folder_of_another_user_is_refused(folder, name, monkeypatch):
    Keys(folder)
    give_away(folder / name, monkeypatch)
    with pytest.raises(ConfigError, match=r"the folder .* belongs to another user"):
        Keys(folder)


@pytest.mark.parametrize("name", ["audit.key", "signing.pem"])
def test_a_key_of_another_user_is_refused(folder, name, monkeypatch):
    keys = Keys(folder)
    keys.secret("audit")
    keys.signing()
    again = Keys(folder)
    give_away(folder / "keys" / name, monkeypatch)
    with pytest.raises(ConfigError, match=r"the key .* belongs to another user"):
        again.secret("audit") if name == "audit.key" else again.signing()


def test_a_link_in_the_place_of_the_key_folder_is_refused(folder, tmp_path):
    Keys(tmp_path / "other")
    folder.mkdir(mode=0o700)
    (folder / "keys").symlink_to(tmp_path / "other" / "keys")
    with pytest.raises(ConfigError, match="is a symbolic link"):
        Keys(folder)


def test_folders_made_on_the_way_are_closed_to_others_and_those_there_stay_as_they_are(tmp_path):
    (tmp_path / "there").mkdir(mode=0o755)
    Keys(tmp_path / "there" / "new" / "state")
    modes = [stat.S_IMODE((tmp_path / each).stat().st_mode) for each in ("there", "there/new", "there/new/state")]
    assert modes == [0o755, 0o700, 0o700]


def test_no_key_is_in_the_repr(folder):
    keys = Keys(folder)
    keys.secret("audit")
    keys.signing()
    assert repr(keys) == "<Keys 2 loaded>"


def test_processes_that_start_together_get_one_key_and_leave_no_drafts(folder):
    script = (
        "import sys; from pathlib import Path; from kernel_gateway.store.keys import Keys\n"
        "keys = Keys(Path(sys.argv[1]))\n"
        "print(keys.secret('audit').hex(), keys.signing().public_key().public_bytes_raw().hex())"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = {process.communicate()[0] for process in started}
    assert len(answers) == 1
    assert sorted(path.name for path in (folder / "keys").iterdir()) == ["audit.key", "signing.pem"]
