"""`/v1/switch`: what is off, and the switching of it."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError
from kernel_gateway.frontends.body import read
from kernel_gateway.frontends.handler import Door, Handler
from kernel_gateway.limits.switch_file import Part

ROUTE = "/v1/switch"


class Operators(Protocol):
    """administration.Administration, as far as these routes know it."""

    async def switch(self, principal: Principal, /) -> dict[str, Any]: ...

    async def set_switch(
        self, principal: Principal, part: Part, name: str, /, *, off: bool, reason: str
    ) -> dict[str, Any]: ...


class Wanted(BaseModel):
    """The body of a PUT. Without one of the four names it means everything."""

    model_config = ConfigDict(extra="forbid", strict=True)

    execute: Literal["on", "off"]
    server: str = ""
    operation: str = ""
    role: str = ""
    front_end: str = ""
    reason: str = ""

    @property
    def part(self) -> tuple[Part, str]:
        """Raises GatewayError("invalid") where it is more than one."""
        parts = (Part.SERVER, Part.OPERATION, Part.ROLE, Part.FRONT_END)
        named = [(part, getattr(self, part)) for part in parts if part.value in self.model_fields_set]
        if len(named) > 1:
            raise GatewayError("invalid", "name one of `server`, `operation`, `role` and `front_end`, or none of them")
        if named and not named[0][1]:
            raise GatewayError("invalid", f"`{named[0][0]}` is empty; name one, or leave it out for everything")
        return named[0] if named else (Part.ALL, "")


class SwitchHandler(Handler):
    route = ROUTE
    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {"GET": ("kernel.admin",), "PUT": ("kernel.admin",)}

    def initialize(self, door: Door, operators: Operators) -> None:  # type: ignore[override]
        super().initialize(door)
        self.operators = operators

    async def get(self) -> None:
        self.reply(await self.operators.switch(self.principal))

    async def put(self) -> None:
        wanted = read(Wanted, self.request.body, '{"execute": "off", "reason": "..."}')
        part, name = wanted.part
        off = wanted.execute == "off"
        self.reply(await self.operators.set_switch(self.principal, part, name, off=off, reason=wanted.reason))
