"""Imports point one way: a module may import only from layers above its own line."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = [
    "catalog",
    "kernel_ext",
    "kernel_gateway.errors",
    "kernel_gateway.crash",
    "kernel_gateway.config",
    "kernel_gateway.store",
    "kernel_gateway.auth",
    "kernel_gateway.policy",
    "kernel_gateway.limits",
    "kernel_gateway.audit",
    "kernel_gateway.approvals",
    "kernel_gateway.upstreams",
    "kernel_gateway.handles",
    "kernel_gateway.broker",
    "kernel_gateway.sandbox",
    "kernel_gateway.kernels",
    "kernel_gateway.sessions",
    "kernel_gateway.search",
    "kernel_gateway.permits",
    "kernel_gateway.branches",
    "kernel_gateway.cells",
    "kernel_gateway.tenancy",
    "kernel_gateway.upkeep",
    "kernel_gateway.gateway",
    "kernel_gateway.explaining",
    "kernel_gateway.administration",
    "kernel_gateway.attacks",
    "kernel_gateway.check",
    "notebooks",
    "kernel_gateway.frontends",
    "kernel_gateway.reference",
    "kernel_gateway.settings",
    "kernel_gateway.served",
    "kernel_gateway.auditing",
    "kernel_gateway.launching",
    "kernel_gateway.keeping",
    "kernel_gateway.gauges",
    "kernel_gateway.issuers",
    "kernel_gateway.reloading",
    "kernel_gateway.app",
    "kernel_gateway.embedded",
    "kernel_gateway.demo",
    "kernel_gateway.garbage",
    "kernel_gateway.commands",
    "kernel_gateway.operating",
    "kernel_gateway.replaying",
    "kernel_gateway.policy_commands",
    "kernel_gateway.key_commands",
    "kernel_gateway.__main__",
]
ALONE = {"catalog", "kernel_ext"}  # these import nothing of ours
REFERENCE_MAY = {"catalog"}  # the stand-in world knows the contract, never the gateway
OF_KERNEL_EXT = {"kernel_ext.wire"}  # what both ends share; the rest belongs to the sandbox


def layer(name):
    return next((i for i, p in enumerate(LAYERS) if name == p or name.startswith(p + ".")), None)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} uses a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if layer(name) != layer(node.module) else node.module for name in names)


MODULES = sorted(
    p for top in ("catalog", "kernel_ext", "kernel_gateway", "notebooks") for p in (ROOT / top).rglob("*.py")
)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path):
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    here = layer(name)
    for target in imports(path):
        there = layer(target)
        if there is None or there == here:
            continue
        assert name.split(".")[0] not in ALONE, f"{name} must stand alone but imports {target}"
        if name.startswith("kernel_gateway.reference"):
            assert target.split(".")[0] in REFERENCE_MAY, f"{name} imports {target}"
        if target.startswith("kernel_ext"):
            assert any(target == p or target.startswith(p + ".") for p in OF_KERNEL_EXT), f"{name} imports {target}"
        assert there < here, f"{name} imports {target}, which is a later layer"


def test_every_module_has_a_layer():
    names = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for p in MODULES}
    assert [name for name in sorted(names) if layer(name) is None] == ["kernel_gateway"]
