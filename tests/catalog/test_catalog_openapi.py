"""From a document to operations: names, arguments, schemas, effects, scopes; strict where served, else lenient."""

import copy
import json
import keyword
from collections.abc import Mapping
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import Catalog, Effect
from catalog.arguments import identifier
from catalog.document import DocumentError, follow, read, server_of, target
from catalog.manifest import manifest
from catalog.openapi import operations
from catalog.operation import Idempotency
from catalog.reviewed import SPECS
from catalog.schema import MAX_LENIENT_SCHEMAS, MAX_STRICT_SCHEMAS, Schemas

IMAGE_OPS = SPECS / "image_ops.openapi.yaml"


def note_document(**changes: Any) -> dict[str, Any]:
    """A small document that may be served; `changes` go into its one operation."""
    operation = {
        "operationId": "notes_put",
        "x-effect": "write",
        "summary": "Put a note into a folder",
        "description": "Replaces the note.",
        "security": [{"oauth": ["notes.write"]}],
        "parameters": [
            {"name": "folder-id", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 9}},
            {"name": "from", "in": "query", "schema": {"type": "integer", "minimum": 0, "default": 3}},
            {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}},
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Note"}}},
        },
        "responses": {"200": {"description": "ok", "content": {"application/json": {"schema": {"type": "object"}}}}},
    } | changes
    return {
        "openapi": "3.1.0",
        "info": {"title": "Notes", "version": "1"},
        "paths": {
            "/folders/{folder-id}": {"put": {key: value for key, value in operation.items() if value is not ...}}
        },
        "components": {
            "schemas": {
                "Note": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["text"],
                    "properties": {
                        "text": {"$ref": "#/components/schemas/Text", "description": "What it says."},
                        "kind": {"oneOf": [{"const": "plain"}, {"type": "integer", "maximum": 4}]},
                        "examples": {"type": "boolean", "x-internal": 1},
                    },
                },
                "Text": {"type": "string", "maxLength": 10, "example": "hi"},
            }
        },
    }


def strict(document: Mapping[str, Any], server: str = "notes") -> list[Any]:
    return list(operations(document, server, strict=True))


def test_path_query_body_and_header_become_keyword_arguments() -> None:
    (put,) = strict(note_document())
    assert [(each.name, each.wire_name, each.where, each.required) for each in put.parameters] == [
        ("folder_id", "folder-id", "path", True),
        ("text", "text", "body", True),
        ("from_", "from", "query", False),
        ("kind", "kind", "body", False),
        ("examples", "examples", "body", False),
        ("idempotency_key", "Idempotency-Key", "header", False),
    ]
    assert (put.id, put.name, put.method, put.path) == ("notes:notes_put", "notes_put", "PUT", "/folders/{folder-id}")
    assert (put.effect, put.scope, put.idempotency) == (Effect.WRITE, "notes.write", Idempotency.OPTIONAL)
    assert (put.answer, put.answer_statuses) == ({"type": "object"}, (200,))


def test_the_arguments_schema_is_closed_and_keeps_constraints_defaults_and_choices() -> None:
    (put,) = strict(note_document())
    assert put.arguments["additionalProperties"] is False
    assert put.arguments["required"] == ["folder_id", "text"]
    properties = put.arguments["properties"]
    assert properties["text"] == {"type": "string", "maxLength": 10, "description": "What it says."}
    assert properties["from_"] == {"type": "integer", "minimum": 0, "default": 3}
    assert properties["kind"] == {"oneOf": [{"const": "plain"}, {"type": "integer", "maximum": 4}]}
    assert properties["examples"] == {"type": "boolean"}  # a property may be called what a keyword is called
    validator = jsonschema_rs.Draft202012Validator(put.arguments)
    assert validator.is_valid({"folder_id": "a", "text": "b", "kind": 4})
    assert not validator.is_valid({"folder_id": "a", "text": "b", "kind": 5})
    assert not validator.is_valid({"folder_id": "a", "text": "b", "other": 1})


def test_a_body_that_is_no_plain_object_is_one_argument() -> None:
    body = {
        "required": True,
        "content": {"application/json": {"schema": {"type": "array", "items": {"type": "string"}}}},
    }
    (put,) = strict(note_document(requestBody=body))
    (parameter,) = [each for each in put.parameters if each.where == "body"]
    assert (parameter.name, parameter.wire_name, parameter.required) == ("body", "", True)
    assert parameter.schema == {"type": "array", "items": {"type": "string"}}


def test_constraints_beside_a_reference_are_added_and_notes_replace() -> None:
    document = note_document()
    schemas = Schemas(document, strict=True)
    text = {"$ref": "#/components/schemas/Text"}
    assert schemas.resolve(text | {"title": "T"}) == {"type": "string", "maxLength": 10, "title": "T"}
    tightened = schemas.resolve(text | {"maxLength": 99})
    assert not jsonschema_rs.Draft202012Validator(tightened).is_valid("x" * 11)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"x-effect": ...}, "x-effect"),
        ({"x-effect": "destroy"}, "x-effect"),
        ({"x-risk": "grave"}, "x-risk"),
        ({"x-risk": "low"}, "x-risk"),
        ({"x-risk": 3}, "x-risk"),
        ({"operationId": ...}, "operationId"),
        ({"operationId": "notesPut"}, "operationId"),
        ({"operationId": "class"}, "operationId"),
        ({"operationId": "__init__"}, "operationId"),
        ({"operationId": "put__note"}, "operationId"),
        ({"operationId": "a" * 65}, "operationId"),
        ({"security": ...}, "security"),
        ({"security": [{"oauth": []}]}, "security"),
        ({"security": [{"oauth": ["a", "b"]}]}, "security"),
        ({"security": [{"oauth": ["a"]}, {"oauth": ["b"]}]}, "security"),
        ({"security": [{"oauth": ["a"], "key": []}]}, "security"),
        ({"parameters": []}, "path parameters"),
        ({"responses": {}}, "2xx"),
        ({"responses": {"2XX": {"description": "ok"}}}, "exact code"),
        ({"requestBody": {"content": {"text/plain": {"schema": {}}}}}, "application/json"),
        ({"requestBody": {"$ref": "#/components/nothing"}}, "points to nothing"),
        ({"requestBody": {"$ref": "other.yaml#/x"}}, "not a local reference"),
    ],
)
def test_a_served_document_says_everything_itself(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(DocumentError, match=says) as caught:
        strict(note_document(**changes))
    assert caught.value.pointer
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parameter", "says"),
    [
        ({"name": "text", "in": "query", "schema": {"type": "string"}}, "both the argument `text`"),
        ({"name": "session", "in": "cookie", "schema": {"type": "string"}}, "use path, query or header"),
        ({"name": "X-Gateway-Asker", "in": "header", "schema": {"type": "string"}}, "gateway's own"),
        ({"name": "Cookie", "in": "header", "schema": {"type": "string"}}, "gateway's own"),
        ({"name": "tags", "in": "query", "style": "pipeDelimited", "schema": {"type": "array"}}, "default style"),
        ({"name": "tags", "in": "query"}, "needs a schema"),
        ({"in": "query", "schema": {}}, "needs a name"),
    ],
)
def test_a_parameter_that_cannot_be_passed_exactly_is_refused(parameter: dict[str, Any], says: str) -> None:
    document = note_document()
    document["paths"]["/folders/{folder-id}"]["put"]["parameters"].append(parameter)
    with pytest.raises(DocumentError, match=says):
        strict(document)


def test_two_operations_of_one_name_are_refused() -> None:
    document = note_document()
    document["paths"]["/other/{folder-id}"] = document["paths"]["/folders/{folder-id}"]
    with pytest.raises(DocumentError, match="used twice"):
        strict(document)
    assert [each.id for each in operations(document, "n")] == ["n:notes_put", "n:notes_put_2"]


def test_authorization_headers_of_a_document_are_no_arguments() -> None:
    document = note_document()
    document["paths"]["/folders/{folder-id}"]["put"]["parameters"].append(
        {"name": "Authorization", "in": "header", "schema": {"type": "string"}}
    )
    assert "authorization" not in strict(document)[0].arguments["properties"]


def test_what_a_document_says_of_a_links_direction_is_kept_and_is_part_of_the_digest() -> None:
    def read_with(link: dict[str, Any]) -> Any:
        schemas = {"Link": {"type": "string", "x-sensitive": "signed-url"}}
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/Link"} | link}}
        operation = {"operationId": "a", "responses": {"200": {"content": content}}}
        document = {"paths": {"/a": {"get": operation}}, "components": {"schemas": schemas}}
        (found,) = Catalog.from_openapi(document, "x").operations
        return found

    plain, writing = read_with({}), read_with({"x-direction": "write"})
    assert writing.answer == {"type": "string", "x-sensitive": "signed-url", "x-direction": "write"}
    assert plain.digest != writing.digest


def test_the_digest_changes_with_everything_that_is_served_and_with_nothing_else() -> None:
    def digest(change: Any) -> str:
        document = copy.deepcopy(note_document())
        change(document, document["paths"]["/folders/{folder-id}"]["put"])
        return str(strict(document)[0].digest)

    same = strict(note_document())[0].digest
    changes = [
        lambda d, o: o.update(summary="Put another note"),
        lambda d, o: o.update({"x-effect": "delete"}),
        lambda d, o: o.update({"x-risk": "high"}),
        lambda d, o: o.update({"x-risk": "critical"}),
        lambda d, o: o.update(security=[{"oauth": ["notes.all"]}]),
        lambda d, o: o["parameters"][1]["schema"].update(default=4),
        lambda d, o: o["parameters"][2].update(required=True),
        lambda d, o: d["components"]["schemas"]["Text"].update(maxLength=11),
        lambda d, o: o["responses"].update({"201": {"description": "made"}}),
        lambda d, o: d["info"].update(title="Notes 2"),
    ]
    digests = {digest(change) for change in changes}
    assert len(digests | {same}) == len(changes) + 1
    assert digest(lambda d, o: d["components"]["schemas"]["Text"].update(example="other")) == same
    assert digest(lambda d, o: d["info"].update(version="2")) == same


def test_a_recursive_model_is_refused_where_served_and_cut_where_searched() -> None:
    document = note_document()
    document["components"]["schemas"]["Text"] = {
        "type": "object",
        "properties": {"child": {"$ref": "#/components/schemas/Text"}, "name": {"type": "string"}},
    }
    with pytest.raises(DocumentError, match="contains itself"):
        strict(document)
    (put,) = operations(document, "notes")
    assert put.arguments["properties"]["text"]["properties"] == {"child": {}, "name": {"type": "string"}}


@pytest.mark.parametrize("is_strict", [True, False])
def test_the_size_of_a_schema_is_bounded(is_strict: bool) -> None:
    limit = MAX_STRICT_SCHEMAS if is_strict else MAX_LENIENT_SCHEMAS
    schemas = Schemas({}, strict=is_strict)

    def wide(parts: int) -> dict[str, Any]:
        return {"properties": {str(number): {"type": "null"} for number in range(parts)}}

    fits = schemas.resolve(wide(limit - 1))
    assert all(fits["properties"].values())
    if is_strict:
        with pytest.raises(DocumentError, match="offer a smaller one"):
            schemas.resolve(wide(limit))
    else:
        assert list(schemas.resolve(wide(limit))["properties"].values())[-1] == {}


def test_models_that_multiply_do_not_explode() -> None:
    """Thirty models of four references each are 4^30 when written out."""
    models = {
        f"M{number}": {"properties": {key: {"$ref": f"#/components/schemas/M{number + 1}"} for key in "abcd"}}
        for number in range(30)
    }
    document = note_document()
    document["components"]["schemas"] |= models | {
        "M30": {"type": "string"},
        "Text": {"$ref": "#/components/schemas/M0"},
    }
    (put,) = operations(document, "notes")
    assert len(json.dumps(put.arguments)) < 100 * MAX_LENIENT_SCHEMAS
    with pytest.raises(DocumentError, match="offer a smaller one"):
        strict(document)


# --- any document -------------------------------------------------------------------------------------------


def test_a_document_without_our_extensions_is_read_in_the_most_dangerous_way() -> None:
    paths = {"/things/{id}": {method: {"responses": {}} for method in ("get", "post", "delete", "options")}}
    catalog = Catalog.from_openapi({"openapi": "3.0.3", "paths": paths}, "things")
    assert {each.method: each.effect.value for each in catalog.operations} == {
        "GET": "read",
        "POST": "write",
        "DELETE": "delete",
        "OPTIONS": "write",
    }
    assert catalog.operations[0].id == "things:get_things_id"
    assert all(each.scope == "" for each in catalog.operations)
    assert all(each.arguments["required"] == ["id"] for each in catalog.operations)


def test_an_id_that_was_not_written_for_us_stays_findable_as_written() -> None:
    paths = {"/r": {"get": {"operationId": "repos/list-forOrg"}, "post": {"operationId": "import"}}}
    catalog = Catalog.from_openapi({"openapi": "3.0.3", "paths": paths}, "hub")
    assert [(each.id, each.name) for each in catalog.operations] == [
        ("hub:repos/list-forOrg", "repos_list_for_org"),
        ("hub:import", "import_"),
    ]
    assert catalog.search("repos/list-forOrg")[0].score == 1.0


def test_openapi_3_0_words_become_json_schema() -> None:
    schema = {"type": "string", "nullable": True, "enum": ["a"]}
    number = {"type": "number", "minimum": 1, "exclusiveMinimum": True, "maximum": 9, "exclusiveMaximum": False}
    schemas = Schemas({}, strict=False)
    assert schemas.resolve(schema) == {"type": ["string", "null"], "enum": ["a", None]}
    validator = jsonschema_rs.Draft202012Validator(schemas.resolve(number))
    assert [validator.is_valid(value) for value in (1, 2, 9, 10)] == [False, True, True, False]


def test_swagger_2_can_be_searched() -> None:
    document = {
        "swagger": "2.0",
        "info": {"title": "Petstore"},
        "paths": {
            "/pets": {
                "post": {
                    "operationId": "addPet",
                    "summary": "Add a pet",
                    "parameters": [
                        {"in": "body", "name": "body", "required": True, "schema": {"$ref": "#/definitions/Pet"}}
                    ],
                    "responses": {"200": {"description": "ok", "schema": {"$ref": "#/definitions/Pet"}}},
                },
                "put": {
                    "operationId": "updatePet",
                    "parameters": [
                        {"in": "formData", "name": "name", "type": "string", "required": True},
                        {"in": "query", "name": "status", "type": "string", "enum": ["sold"]},
                    ],
                    "responses": {"default": {"description": "ok"}},
                },
            }
        },
        "definitions": {"Pet": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}},
    }
    add, update = Catalog.from_openapi(document, "pets").operations
    assert add.arguments["required"] == ["name"]
    assert add.answer["properties"] == {"name": {"type": "string"}}
    assert set(update.arguments["properties"]) == {"name", "status"}


def test_colliding_arguments_of_a_foreign_document_are_renamed() -> None:
    document = note_document()
    document["paths"]["/folders/{folder-id}"]["put"]["parameters"].append(
        {"name": "text", "in": "query", "schema": {"type": "string"}}
    )
    (put,) = operations(document, "notes")
    assert {each.name: each.where for each in put.parameters if each.wire_name == "text"} == {
        "text": "query",
        "body_text": "body",
    }


@pytest.mark.parametrize("document", [{}, {"paths": None}, {"openapi": "3.1.0", "paths": []}])
def test_what_is_no_openapi_document_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(DocumentError, match="no `paths`"):
        Catalog.from_openapi(document, "x")


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ("notes", "notes"),
        ("my-api", "my_api"),
        (" Bad  Name", "bad_name"),
        ("GitHub", "github"),
        ("_a__b_", "a_b"),
        ("2024", "api_2024"),
        ("class", "class_"),
        ("../../x\n", "x"),
    ],
)
def test_a_server_is_named_as_cells_write_it_and_a_served_one_is_so_from_the_start(server: str, name: str) -> None:
    catalog = Catalog.from_openapi(note_document(), server)
    assert {operation.server for operation in catalog.operations} == {name} and name.isidentifier()
    assert all(operation.id.startswith(f"{name}:") for operation in catalog.operations)
    if server != name:
        with pytest.raises(DocumentError, match="server name"):
            strict(note_document(), server)


@pytest.mark.parametrize("server", ["", "a:b", "-", "画像"])
def test_a_server_needs_a_name(server: str) -> None:
    with pytest.raises(DocumentError, match="server name"):
        Catalog.from_openapi(note_document(), server)


def test_a_large_document_loads_and_searches() -> None:
    """1,200 operations over models that refer to each other in circles."""
    models = {
        f"M{number}": {
            "type": "object",
            "properties": {
                f"p{key}": {"$ref": f"#/components/schemas/M{(number * 7 + key) % 200}"} for key in range(6)
            },
        }
        for number in range(200)
    }
    paths = {
        f"/group{number % 30}/thing{number}/{{id}}": {
            "get": {
                "operationId": f"thing{number}/get",
                "summary": f"Get thing number {number}",
                "responses": {
                    "200": {
                        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/M{number % 200}"}}}
                    }
                },
            }
        }
        for number in range(1200)
    }
    catalog = Catalog.from_openapi({"openapi": "3.0.0", "paths": paths, "components": {"schemas": models}}, "large")
    assert len(catalog) == 1200
    assert catalog.search("get thing 777")[0].operation.id == "large:thing777/get"


# --- properties ---------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.text(max_size=6)
    | st.sampled_from(["object", "#/a", "get", "string"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
SCHEMA_WORDS = """
    type properties items additionalProperties allOf oneOf enum const required nullable $ref description x-sensitive
    exclusiveMinimum minimum default pattern prefixItems readOnly
"""
schema_keys = st.sampled_from(SCHEMA_WORDS.split())
references = st.sampled_from(
    ["#/components/schemas/A", "#/components/schemas/B", "#/components/schemas/Gone", "#", "x.json"]
)
any_schemas = st.recursive(
    json_values | st.fixed_dictionaries({"$ref": references}),
    lambda inner: (
        st.dictionaries(schema_keys, inner | json_values, max_size=4)
        | st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(st.text(max_size=4), inner, max_size=3)}
        )
        | st.fixed_dictionaries({"oneOf": st.lists(inner, max_size=3)})
    ),
    max_leaves=12,
)


def references_in(value: Any) -> bool:
    """Whether a *schema* below still refers elsewhere (literals may hold anything)."""
    if isinstance(value, dict):
        return "$ref" in value or any(
            references_in(inner)
            for key, inner in value.items()
            if key
            not in (
                "enum",
                "const",
                "default",
                "dependentRequired",
                "properties",
                "patternProperties",
                "dependentSchemas",
            )
        )
    return isinstance(value, list) and any(map(references_in, value))


@settings(deadline=None)  # the machine may be busy
@given(any_schemas, any_schemas, any_schemas, st.booleans())
def test_resolving_ends_in_a_self_contained_schema_or_a_document_error(
    schema: Any, first: Any, second: Any, is_strict: bool
) -> None:
    schemas = Schemas({"components": {"schemas": {"A": first, "B": second}}}, strict=is_strict)
    try:
        resolved = schemas.resolve(schema)
    except DocumentError:
        assert is_strict
        return
    json.dumps(resolved, allow_nan=False)
    assert not references_in(resolved)


operation_parts = st.fixed_dictionaries(
    {},
    optional={
        "operationId": json_values | st.text(max_size=8),
        "summary": json_values,
        "description": json_values,
        "x-risk": json_values | st.sampled_from(["low", "medium", "high", "critical"]),
        "x-effect": json_values | st.sampled_from(["read", "write", "delete"]),
        "security": json_values | st.lists(st.dictionaries(st.text(max_size=3), json_values, max_size=2), max_size=2),
        "parameters": json_values
        | st.lists(
            json_values
            | st.fixed_dictionaries(
                {
                    "name": st.text(max_size=5),
                    "in": st.sampled_from(["path", "query", "header", "cookie", "body", "formData"]),
                },
                optional={"schema": any_schemas, "required": json_values, "content": json_values},
            ),
            max_size=4,
        ),
        "requestBody": json_values
        | st.fixed_dictionaries(
            {"content": st.fixed_dictionaries({"application/json": st.fixed_dictionaries({"schema": any_schemas})})}
        ),
        "responses": json_values
        | st.dictionaries(st.sampled_from(["200", "204", "2XX", "400"]), json_values, max_size=2),
        "tags": json_values,
    },
)


@settings(deadline=None)  # the machine may be busy
@given(
    st.dictionaries(
        st.sampled_from(["/a", "/a/{b}", "a?", "/{é}"]),
        st.dictionaries(st.sampled_from(["get", "post", "x"]), operation_parts | json_values, max_size=2) | json_values,
        max_size=2,
    ),
    st.booleans(),
)
def test_any_document_gives_operations_or_a_document_error(paths: Any, is_strict: bool) -> None:
    document = {
        "openapi": "3.1.0",
        "paths": paths,
        "components": {"schemas": {"A": {"$ref": "#/components/schemas/A"}}},
    }
    try:
        found = list(operations(document, "any", strict=is_strict))
    except DocumentError:
        assert is_strict
        return
    assert len({each.id for each in found}) == len({each.name for each in found}) == len(found)
    for each in found:
        names = [parameter.name for parameter in each.parameters]
        assert len(set(names)) == len(names) == len(each.arguments["properties"])
        assert all(name.isidentifier() and not keyword.iskeyword(name) for name in [*names, each.name])
        assert len(each.digest) == 64
    Catalog(tuple(found)).search("get a thing")
    json.dumps(manifest(Catalog(tuple(found))))


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=20), st.sampled_from(["query", "header"]))
def test_every_wire_name_has_a_python_name(wire_name: str, where: str) -> None:
    name = identifier(wire_name, where=where)
    assert name.isidentifier() and name.isascii() and not keyword.iskeyword(name) and not name.startswith("_")


# --- files --------------------------------------------------------------------------------------------------


def test_yaml_is_read_as_json(tmp_path: Any) -> None:
    path = tmp_path / "a.openapi.yaml"
    path.write_text("responses:\n  200: {x: 2026-01-02, on: yes}\nbase: &b {k: 1}\nmerged:\n  <<: *b\n  l: 2\n")
    assert read(path) == {
        "responses": {"200": {"x": "2026-01-02", "on": True}},
        "base": {"k": 1},
        "merged": {"k": 1, "l": 2},
    }
    assert server_of(path) == "a"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.openapi.yaml", "a: 1\na: 2\n", "appears twice"),
        ("a.openapi.json", '{"a": 1, "a": 2}', "appears twice"),
        ("a.openapi.yaml", "a: [", "does not parse"),
        ("a.openapi.json", "{", "does not parse"),
        ("a.openapi.yaml", "- a\n", "top level"),
        ("a.openapi.yaml", "? [1]\n: 2\n", "not text"),
        ("a.openapi.yaml", "!!python/object/apply:os.getcwd []\n", "does not parse"),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path: Any, name: str, text: str, says: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DocumentError, match=says) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_pointers_are_unescaped_and_circles_end() -> None:
    document = {"a/b": {"~": [10, 20]}, "x": {"$ref": "#/y"}, "y": {"$ref": "#/x"}}
    assert target(document, "#/a~1b/~0/1") == 20
    with pytest.raises(DocumentError, match="circle"):
        follow(document, {"$ref": "#/x"})


def test_the_image_ops_document_gives_the_five_operations() -> None:
    found = {each.name: each for each in operations(read(IMAGE_OPS), server_of(IMAGE_OPS), strict=True)}
    assert {name: (each.scope, each.effect.value, each.idempotency.value) for name, each in found.items()} == {
        "uploads_init": ("image.upload", "write", "optional"),
        "jobs_create": ("image.jobs.write", "write", "optional"),
        "jobs_get": ("image.jobs.read", "read", "none"),
        "cleanup_create": ("image.cleanup", "delete", "required"),
        "quota_get": ("image.quota.read", "read", "none"),
    }
    assert found["uploads_init"].answer["properties"]["upload_url"]["x-sensitive"] == "signed-url"
    assert len(found["jobs_create"].arguments["properties"]["operations"]["items"]["oneOf"]) == 7
