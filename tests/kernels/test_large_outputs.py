"""An honest cell that shows too much keeps its kernel, and its reader learns what was left out."""

import asyncio
import io
import textwrap

import pytest
from PIL import Image


async def run(kernel, code, deadline=100.0):
    return await kernel.run(code, deadline, asyncio.get_running_loop().create_future())


async def shown_whole(kernel, code):
    """The outputs of a cell after which the kernel still lives, and nothing was dropped on the way."""
    outcome = await run(kernel, code)
    assert outcome.status in ("ok", "error"), outcome.cause
    assert outcome.outputs.dropped_messages == 0
    assert (await run(kernel, "6 * 7")).outputs.result == "42"
    return outcome.outputs


@pytest.mark.parametrize(
    "code",
    [
        "print('first'); print('x' * 30_000_000); print('last')",
        "import sys; print('first', 'x' * 30_000_000, 'last', file=sys.stderr)",
    ],
)
async def test_a_print_of_any_length_keeps_head_and_tail(claim_kernel, code):
    outputs = await shown_whole(await claim_kernel(), code)
    text = outputs.stdout + outputs.stderr
    assert text.startswith("first")
    assert text.endswith("last\n")
    assert "left out" in text


@pytest.mark.parametrize(
    "code",
    [
        "'x' * 30_000_000",
        "type('Long', (), {'__repr__': lambda self: 'x' * 30_000_000})()",
        "text = 'x' * 30_000_000\n%page -r text",
    ],
)
async def test_a_value_of_any_length_can_be_shown(claim_kernel, code):
    outputs = await shown_whole(await claim_kernel(), code)
    assert "xxxx" in outputs.result
    assert outputs.is_truncated or "left out" in outputs.result


async def test_an_error_of_any_length_is_an_error(claim_kernel):
    outputs = await shown_whole(await claim_kernel(), "raise ValueError('x' * 30_000_000)")
    assert outputs.error[0] == "ValueError"
    assert "Cell In[1], line 1" in outputs.error[2]
    assert "left out" in outputs.error[2]


@pytest.mark.parametrize("mime", ["text/html", "application/json", "image/svg+xml"])
async def test_other_data_of_any_size_is_named(claim_kernel, mime):
    code = f"display({{'{mime}': 'x' * 30_000_000, 'text/plain': 'beside it'}}, raw=True)"
    outputs = await shown_whole(await claim_kernel(), code)
    assert outputs.result == f"beside it\n[{mime} of 30.0 MB left out: too large to show]"


@pytest.mark.parametrize(
    "code",
    [
        """
        from PIL import Image
        image = Image.effect_noise((1000, 800), 80).convert('RGB')
        image.resize((6000, 4000))
        """,
        """
        import numpy
        import matplotlib.pyplot as plt
        figure = plt.figure(figsize=(40, 40), dpi=72)
        figure.add_axes([0, 0, 1, 1])
        figure.figimage(numpy.random.default_rng(0).integers(0, 255, (2000, 4000, 3), dtype="uint8"), zorder=9)
        plt.show()
        """,
        """
        import io, os
        from PIL import Image
        from IPython.display import Image as Shown
        buffer = io.BytesIO()
        Image.frombytes("RGB", (2600, 2000), os.urandom(15_600_000)).save(buffer, "PNG")
        Shown(buffer.getvalue())
        """,
    ],
    ids=["image", "figure", "file"],
)
async def test_a_picture_of_any_size_is_shown(claim_kernel, code):
    outputs = await shown_whole(await claim_kernel(), textwrap.dedent(code))
    ((_, data),) = outputs.images
    assert max(Image.open(io.BytesIO(data)).size) == 2048
    assert len(data) <= 3 * 1024 * 1024


async def test_an_image_is_encoded_once_and_the_cells_own_stays_as_it_is(claim_kernel):
    kernel = await claim_kernel()
    code = (
        "from PIL import Image\nimage = Image.new('RGB', (3000, 10))\n"
        "sorted(get_ipython().display_formatter.format(image)[0]), image.size"
    )
    assert (await run(kernel, code)).outputs.result == "(['image/png', 'text/plain'], (3000, 10))"


async def test_pillow_is_not_imported_before_a_cell_uses_it(claim_kernel):
    kernel = await claim_kernel()
    await run(kernel, "'shown'")
    assert (await run(kernel, "import sys; 'PIL' in sys.modules")).outputs.result == "False"
