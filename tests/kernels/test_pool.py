"""Ready kernels and the templates they come from, with real templates: what a session gets, and what nobody shares."""

import asyncio
import json
import shutil
import signal
from functools import partial

import pytest

from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.kernels.pool import Pool
from kernel_gateway.kernels.settings import KernelSettings, PoolSettings
from kernel_gateway.launching import kernel_launcher
from kernel_gateway.sandbox.images import MANIFEST, PACKAGES, present_digest
from kernel_gateway.settings import Settings
from tests.conftest import EMPTY_MANIFEST, IMAGE, LEAN, refuse, until


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
async def make_pool():
    pools = []

    async def start(launcher):
        return await Kernel.start(launcher, KernelSettings())

    def make(clock=None, image=IMAGE, **settings):
        of_kernels = Settings.of({"sandbox": {"image": str(image)}, "kernels": LEAN})
        pool = PoolSettings(**{"ready": 2, **settings})
        version = partial(present_digest, image)
        pools.append(Pool(lambda: kernel_launcher(of_kernels), start, pool, clock or Clock(), version))
        pools[-1].start()
        return pools[-1]

    yield make
    for pool in pools:
        await pool.close()


async def ready(pool, number=2, source=0):
    await until(lambda: len(pool._sources.all[source].ready) == number)


async def works(kernel):
    await kernel.claim(EMPTY_MANIFEST, refuse, 1)
    outcome = await kernel.run("6 * 7", 30, asyncio.get_running_loop().create_future())
    return outcome.outputs.result == "42"


def template_of(source):
    launcher = source.launcher
    while hasattr(launcher, "_inner"):
        launcher = launcher._inner
    return launcher._template


async def test_a_session_takes_a_ready_kernel_and_its_place_is_filled(make_pool):
    pool = make_pool()
    await ready(pool)
    waiting = pool._sources.all[0].ready[0]
    kernel = await pool.take("acme")
    assert kernel is waiting
    assert await works(kernel)
    await ready(pool)
    assert kernel not in pool._sources.all[0].ready


async def test_an_empty_pool_starts_a_kernel_on_demand(make_pool):
    pool = make_pool(ready=0)
    assert pool._sources.all == []
    assert await works(await pool.take("acme"))
    assert not pool._sources.all[0].ready


async def test_organisations_share_no_template(make_pool):
    pool = make_pool(ready=1)
    for organisation in ("acme", "globex", "acme"):
        assert await works(await pool.take(organisation))
    acme, globex = (next(s for s in pool._sources.all if s.organisation == name) for name in ("acme", "globex"))
    assert template_of(acme) is not template_of(globex)
    assert (acme.started >= 2, globex.started >= 1) == (True, True)


async def test_a_second_organisation_makes_the_pool_keep_a_template_for_a_third(make_pool):
    pool = make_pool(ready=1)
    await pool.take("acme")
    assert "" not in [source.organisation for source in pool._sources.all]
    await pool.take("globex")
    (spare,) = [source for source in pool._sources.all if not source.organisation]
    await until(lambda: spare.ready)
    waiting = spare.ready[0]
    assert await pool.take("initech") is waiting


async def test_a_ready_kernel_that_died_is_given_to_nobody_and_replaced(make_pool):
    pool = make_pool()
    await ready(pool)
    dead = pool._sources.all[0].ready[0]
    dead._process.send_signal(signal.SIGKILL)
    await dead.died
    kernel = await pool.take("acme")
    assert kernel is not dead
    assert await works(kernel)
    await ready(pool)


async def test_a_template_that_died_is_started_again(make_pool):
    pool = make_pool()
    await ready(pool)
    (source,) = pool._sources.all
    template, doomed = template_of(source), list(source.living)
    template._process.send_signal(signal.SIGKILL)
    await asyncio.gather(*(kernel.gone for kernel in doomed))
    assert await works(await pool.take("acme"))
    assert template_of(source) is not template


@pytest.mark.parametrize(
    ("limit", "passes"),
    [({"max_kernels_per_template": 4}, 0), ({"template_seconds": 10.0}, 11.0)],
    ids=["after so many kernels", "after so long"],
)
async def test_a_template_is_replaced_and_sessions_keep_their_kernels(make_pool, limit, passes):
    clock = Clock()
    pool = make_pool(clock, ready=1, **limit)
    first = await pool.take("acme")
    await first.claim(EMPTY_MANIFEST, refuse, 1)
    old = pool._sources.all[0]
    while not old.retired:
        await until(lambda: pool._sources.all[-1].ready)
        clock.now += passes
        await (await pool.take("acme")).stop()
    assert old.started <= 4
    outcome = await first.run("6 * 7", 30, asyncio.get_running_loop().create_future())
    assert outcome.outputs.result == "42"
    await first.stop()
    await until(lambda: old not in pool._sources.all)
    await until(lambda: template_of(old).dead.done())


async def test_before_its_limits_a_template_is_kept(make_pool):
    clock = Clock()
    pool = make_pool(clock, ready=0, max_kernels_per_template=3, template_seconds=10.0, idle_template_seconds=10.0)
    for _ in range(3):
        clock.now += 3.3
        await (await pool.take("acme")).stop()
    assert [source.started for source in pool._sources.all] == [3]


async def test_an_idle_organisation_gives_its_template_up(make_pool):
    clock = Clock()
    pool = make_pool(clock, ready=0, idle_template_seconds=10.0)
    await (await pool.take("acme")).stop()
    clock.now = 11.0
    await pool.take("globex")
    await until(lambda: [source.organisation for source in pool._sources.all] == ["globex"])


async def test_at_the_cap_an_idle_template_makes_room_and_a_used_one_does_not(make_pool):
    pool = make_pool(ready=0, max_templates=1)
    kernel = await pool.take("acme")
    with pytest.raises(GatewayError) as refused:
        await pool.take("globex")
    assert (refused.value.code, refused.value.retry_after) == ("limited", 30.0)
    await kernel.stop()
    assert await works(await pool.take("globex"))


LEFT_OUT = (
    "numpy*",
    "pandas*",
    "matplotlib*",
    "mpl_toolkits",
    "PIL",
    "pillow*",
    "fontTools",
    "jedi*",
    "debugpy*",
    "tzdata*",
)


@pytest.fixture
def image(tmp_path):
    """`image(mark)` builds an image beside the one in use, as a release would, and puts it in its place."""
    folder = tmp_path / "kernel"

    def build(mark):
        new = tmp_path / f"kernel-{mark}"
        shutil.copytree(IMAGE / PACKAGES, new / PACKAGES, ignore=shutil.ignore_patterns(*LEFT_OUT))
        (new / PACKAGES / "release.py").write_text(f"mark = {mark!r}")
        manifest = json.loads((IMAGE / MANIFEST).read_text())
        (new / MANIFEST).write_text(json.dumps({**manifest, "digest": mark}))
        put_in_place(new)

    def put_in_place(new):
        (tmp_path / "next").symlink_to(new)
        (tmp_path / "next").rename(folder)

    build.folder, build.put_in_place = folder, put_in_place
    return build


async def release_of(kernel):
    outcome = await kernel.run("import release; release.mark", 30, asyncio.get_running_loop().create_future())
    return outcome.outputs.result


async def test_another_image_replaces_its_templates_and_sessions_keep_their_kernels(make_pool, image):
    image("first")
    pool = make_pool(ready=1, image=image.folder)
    before = await pool.take("acme")
    await before.claim(EMPTY_MANIFEST, refuse, 1)
    image("second")
    after = await pool.take("acme")
    await after.claim(EMPTY_MANIFEST, refuse, 1)
    assert (await release_of(before), await release_of(after)) == ("'first'", "'second'")
    old, _ = pool._sources.all
    await before.stop()
    await until(lambda: old not in pool._sources.all)


async def test_without_anybody_asking_the_ready_kernels_are_of_the_new_image_too(make_pool, image):
    image("first")
    pool = make_pool(ready=1, image=image.folder)
    await ready(pool, 1)
    image("second")
    pool._replace()
    await until(lambda: [source.version for source in pool._sources.all] == ["second"])
    await ready(pool, 1)


async def test_an_image_that_cannot_be_used_replaces_nothing_and_is_reported_once(make_pool, image, tmp_path, caplog):
    image("first")
    pool = make_pool(ready=1, image=image.folder)
    await (await pool.take("acme")).stop()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / MANIFEST).write_text(json.dumps({"digest": "x", "python": "2.7", "sources": ""}))
    image.put_in_place(broken)
    for _ in range(2):
        kernel = await pool.take("acme")
        await kernel.claim(EMPTY_MANIFEST, refuse, 1)
        await kernel.stop()
    assert [source.version for source in pool._sources.all] == ["first"]
    assert caplog.text.count("cannot be used, so the former one stays in use") == 1


@pytest.mark.parametrize(("most", "kept"), [(1, 2), (0, 1)])
async def test_no_more_replaced_templates_are_kept_than_allowed(make_pool, most, kept):
    clock = Clock()
    pool = make_pool(clock, ready=0, template_seconds=10.0, max_retired_templates=most)
    for _ in range(3):
        assert await works(await pool.take("acme"))
        clock.now += 11.0
    assert len(pool._sources.all) == kept


async def test_a_start_that_fails_on_a_replaced_template_leaves_none_behind(make_pool):
    pool = make_pool(ready=0)
    starting, fail = asyncio.Event(), asyncio.Event()

    async def failing(launcher):
        starting.set()
        await fail.wait()
        raise GatewayError("sandbox", "no kernel today")

    pool._start_kernel = failing
    taking = asyncio.create_task(pool.take("acme"))
    await starting.wait()
    pool._sources.all[0].retired = True
    fail.set()
    with pytest.raises(GatewayError, match="no kernel today"):
        await taking
    await until(lambda: pool._sources.all == [])


async def test_a_launcher_that_cannot_start_says_so_to_whoever_asks_and_the_pool_goes_on(make_pool, caplog):
    pool = make_pool(ready=1)
    await ready(pool, 1)
    (source,) = pool._sources.all

    async def broken(launcher):
        raise GatewayError("sandbox", "no kernel today")

    works_again, pool._start_kernel = pool._start_kernel, broken
    await (await pool.take("acme")).stop()
    with pytest.raises(GatewayError, match="no kernel today"):
        await pool.take("acme")
    await until(lambda: "no kernel is kept ready: no kernel today" in caplog.text)
    pool._start_kernel = works_again
    await ready(pool, 1)
    assert await works(await pool.take("acme"))
    await until(lambda: source.starting == 0)


async def test_a_start_that_crashes_is_told_to_whoever_waits_for_it_and_the_pool_goes_on(make_pool, caplog):
    pool = make_pool(ready=1)
    await ready(pool, 1)

    async def crashing(launcher):
        raise OSError(24, "Too many open files")

    works_again, pool._start_kernel = pool._start_kernel, crashing
    await (await pool.take("acme")).stop()
    with pytest.raises(OSError, match="Too many open files"):
        await pool.take("acme")
    await until(lambda: "no kernel is kept ready: " in caplog.text)
    pool._start_kernel = works_again
    await ready(pool, 1)
    assert await works(await pool.take("acme"))


async def test_a_closed_pool_leaves_no_process(make_pool):
    pool = make_pool()
    await ready(pool)
    kernels, template = list(pool._sources.all[0].living), template_of(pool._sources.all[0])
    await pool.close()
    assert all(kernel.gone.done() for kernel in kernels)
    assert template.dead.done()
    assert template._process.returncode is not None
