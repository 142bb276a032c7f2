"""Whatever a kernel says to the gateway: no crash but the declared errors, no hang, little memory."""

import importlib.util
import tracemalloc

import pytest

from tests.fuzz import corpus
from tests.fuzz.campaign import fuzz
from tests.fuzz.targets import TARGETS

MIB = 1024 * 1024
SECONDS = 2
needs_libfuzzer = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="libFuzzer for Python is packaged for x86-64 Linux only"
)


@pytest.mark.parametrize("target", TARGETS)
def test_every_input_of_the_corpus_is_taken_or_refused_within_a_little_memory(target):
    inputs = corpus.load(target)
    assert len(inputs) > 10
    TARGETS[target](b"")
    peaks = []
    tracemalloc.start()
    try:
        for each in inputs:
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            TARGETS[target](each)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    assert max(peaks) < MIB


@needs_libfuzzer
@pytest.mark.parametrize("target", TARGETS)
def test_a_short_campaign_finds_nothing(target):
    ended = fuzz(target, SECONDS)
    assert ended.code == 0, ended.said[-4000:]


@needs_libfuzzer
@pytest.mark.parametrize(
    ("planted", "said"), [("crash", "AssertionError: found"), ("hang", "timeout"), ("greed", "out-of-memory")]
)
def test_a_planted_fault_is_found(planted, said):
    ended = fuzz(planted, 60, module="tests.fuzz.planted")
    assert ended.code != 0
    assert said in ended.said
    assert "5a4d54" in ended.said, "the input that did it"
