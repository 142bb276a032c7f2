"""The client that is generated from a manifest."""

import inspect

import pytest

from catalog import Catalog
from catalog.document import read
from catalog.manifest import manifest
from catalog.reviewed import SPECS
from kernel_ext import channel as sixth_channel
from kernel_ext.blobs import Blob, Record, revive
from kernel_ext.client import acall_tool, call_tool, call_tools, search_tools
from kernel_ext.errors import ToolError
from kernel_ext.servers import build
from kernel_ext.wire import Kind, Message


class Recorded:
    """A channel whose other end is this test: keeps what was asked and gives the next answer."""

    def __init__(self, *answers):
        self.asked, self.answers = [], list(answers)

    def submit(self, kind, head, body=b""):
        from concurrent.futures import Future

        future = Future()
        self.asked.append((kind, head, body))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(Message(Kind.RESULT, 1, {"value": answer}))
        return future

    def request(self, kind, head, body=b""):
        return self.submit(kind, head, body).result()


@pytest.fixture
def image_ops():
    return build(manifest(Catalog.from_openapi(read(SPECS / "image_ops.openapi.yaml"), "image_ops")))["image_ops"]


@pytest.fixture
def attached():
    def attach(*answers):
        recorded = Recorded(*answers)
        sixth_channel.attach(recorded)
        return recorded

    yield attach
    sixth_channel.attach(None)


def test_an_operation_is_a_function_with_keyword_parameters_and_a_docstring(image_ops):
    signature = inspect.signature(image_ops.jobs_create)
    assert {"upload_id", "operations", "idempotency_key"} <= set(signature.parameters)
    assert all(each.kind is inspect.Parameter.KEYWORD_ONLY for each in signature.parameters.values())
    assert signature.parameters["upload_id"].default is inspect.Parameter.empty
    assert signature.parameters["idempotency_key"].default is None
    assert "image.jobs.write" in image_ops.jobs_create.__doc__
    assert "resize" in image_ops.jobs_create.__doc__, "the shapes of the operations are shown"


def test_a_server_completes_to_its_operations_and_nothing_else(image_ops):
    assert sorted(dir(image_ops)) == ["cleanup_create", "jobs_create", "jobs_get", "quota_get", "uploads_init"]


def test_source_and_tracebacks_can_be_shown(image_ops):
    assert inspect.getsource(image_ops.jobs_get).startswith("def jobs_get(")


def test_a_call_sends_its_arguments_and_leaves_out_those_not_given(image_ops, attached):
    recorded = attached({"job_id": "job_1", "status": "queued"})
    job = image_ops.jobs_get(id="job_1")
    assert recorded.asked == [(Kind.CALL, {"operation": "image_ops:jobs_get", "arguments": {"id": "job_1"}}, b"")]
    assert job.status == job["status"] == "queued"


def test_a_missing_or_unknown_argument_is_pythons_own_error(image_ops, attached):
    attached()
    with pytest.raises(TypeError, match="id"):
        image_ops.jobs_get()
    with pytest.raises(TypeError, match="nonsense"):
        image_ops.jobs_get(id="job_1", nonsense=1)


def test_an_operation_that_is_not_there_is_asked_of_the_gateway_which_says_why(image_ops, attached):
    recorded = attached(ToolError("denied", "it needs the scope `image.jobs.delete`"))
    with pytest.raises(ToolError) as caught:
        image_ops.jobs_delete(id="job_1", reason=None)
    assert caught.value.code == "denied"
    assert recorded.asked == [(Kind.CALL, {"operation": "image_ops:jobs_delete", "arguments": {"id": "job_1"}}, b"")]


@pytest.mark.parametrize("name", ["_repr_html_", "__len__", "_private", "no name", "getdoc"])
def test_what_python_and_ipython_look_for_is_no_operation(image_ops, name):
    assert not hasattr(image_ops, name)


def test_a_server_without_a_usable_operation_is_there_and_says_so():
    server = build({"servers": {"image_gen": {"title": "Image Gen", "operations": []}}})["image_gen"]
    assert repr(server) == "<Image Gen: nothing that you may use>"
    assert dir(server) == []


@pytest.mark.parametrize(
    ("wrong", "shape"),
    [
        (lambda: call_tool("a:b", "x"), "call_tool("),
        (lambda: call_tool({"name": "a:b"}), "call_tool("),
        (lambda: call_tools(["a:b"]), "call_tools("),
        (lambda: call_tools([("a:b", {}), ("a:b",)]), "call_tools("),
        (lambda: call_tools({"a:b": {}}), "call_tools("),
        (lambda: call_tools(5), "call_tools("),
        (lambda: call_tools([("a:b", "x")]), "call_tool("),
        (lambda: search_tools(5), "search_tools("),
        (lambda: Blob("id", "write").write("abc"), "encode()"),
        (lambda: Blob("id", "write").write(5), "takes bytes, not int"),
    ],
)
def test_a_call_of_the_wrong_shape_is_invalid_names_the_right_one_and_sends_nothing(attached, wrong, shape):
    recorded = attached()
    with pytest.raises(ToolError) as caught:
        wrong()
    assert caught.value.code == "invalid"
    assert shape in caught.value.message
    assert recorded.asked == []


async def test_so_it_is_with_await(attached):
    attached()
    with pytest.raises(ToolError, match="a name and a dict"):
        await acall_tool("a:b", ["x"])


@pytest.mark.parametrize("data", [b"abc", bytearray(b"abc"), memoryview(b"a-b-c")[::2]])
def test_anything_that_holds_bytes_can_be_written(attached, data):
    recorded = attached(None)
    assert Blob("id", "write").write(data) == 3
    assert recorded.asked == [(Kind.WRITE, {"handle": "id"}, b"abc")]


def test_one_failure_among_parallel_calls_keeps_the_others_in_order(attached):
    attached(1, ToolError("limited", "enough"), 3)
    results = call_tools([("a:b", {}), ("a:b", {}), ("a:b", {})])
    assert [result.success for result in results] == [True, False, True]
    assert results[1].error.code == "limited"
    assert (results[0].result, results[2].result) == (1, 3)


def test_a_handle_in_an_answer_becomes_a_blob_that_does_not_show_its_id():
    value = revive({"items": [{"url": {"$blob": {"id": "secret-id", "direction": "read", "size": 7}}}]})
    blob = value.items_ if hasattr(value, "items_") else value["items"][0].url
    assert isinstance(value, Record)
    assert isinstance(blob, Blob)
    assert (blob.direction, blob.size) == ("read", 7)
    assert "secret-id" not in repr(blob)


def test_a_parameter_name_that_is_not_python_is_refused():
    operation = {
        "id": "a:b", "name": "b", "summary": "", "description": "", "effect": "read", "scope": "s", "returns": [],
        "parameters": [
            {"name": "x): import os #", "required": True, "annotation": "str", "description": "", "choices": []}
        ],
    }  # fmt: skip
    with pytest.raises(ValueError, match="not a Python name"):
        build({"servers": {"a": {"title": "A", "operations": [operation]}}})


def test_text_from_the_document_cannot_leave_its_docstring():
    operation = {
        "id": "a:b", "name": "b", "summary": '"""\nraise SystemExit\n"""', "description": "\\", "effect": "read",
        "scope": "s", "returns": ["x : \"\"\"y"], "parameters": [],
    }  # fmt: skip
    function = build({"servers": {"a": {"title": "A", "operations": [operation]}}})["a"].b
    assert "raise SystemExit" in function.__doc__
