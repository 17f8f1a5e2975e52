"""Routes of operations: the caller and the services are resolved at once, and only the rest by the framework.

The framework resolves each dependency anew for each request, which costs more than most operations themselves. What it
documents and validates stays as it is.
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from inspect import signature
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.convertors import UUIDConvertor
from starlette.responses import Response
from starlette.routing import request_response

from shared.http.identity import RequireIdentity

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_RESOLVED = "sluice.resolved"
_REQUEST = "_request"


class ServiceOf:
    """The dependency that gives a route the application's service of a class."""

    def __init__(self, kind: type[object]) -> None:
        self._kind = kind

    async def __call__(self, request: Request) -> object:
        """Return the service."""
        return self.find(request)

    def find(self, request: Request) -> object:
        """Return the service, without waiting."""
        return request.app.state.services[self._kind]


def service_of(kind: type[object]) -> Any:
    """Return the dependency that gives a route the application's service of this class."""
    return Depends(ServiceOf(kind))


class OperationRoute(APIRoute):
    """A route that resolves its caller and services itself, the caller first.

    A route that takes nothing else than ids of its path and the request, and returns a response, is called directly.
    """

    _callers: dict[str, RequireIdentity]
    _services: dict[str, ServiceOf]

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.is_direct = self._needs_no_framework()
        if self.is_direct:
            self.app = request_response(self._call_directly)

    def get_route_handler(self) -> Handler:
        """Return the framework's handler of what is left to resolve, called with what is resolved here."""
        declared, self._callers, self._services = self.dependant, {}, {}
        for each in declared.dependencies:
            match each.name, each.call:
                case str(name), RequireIdentity() as caller:
                    self._callers[name] = caller
                case str(name), ServiceOf() as service:
                    self._services[name] = service
        self.dependant = replace(
            declared,
            dependencies=self._find_rest(declared),
            request_param_name=declared.request_param_name or _REQUEST,
            call=self._to_call(declared),
        )
        try:
            handle_rest = super().get_route_handler()
        finally:
            self.dependant = declared

        async def handle(request: Request) -> Response:
            request.scope[_RESOLVED] = await self._resolve(request)
            return await handle_rest(request)

        return handle

    def _find_rest(self, declared: Dependant) -> list[Dependant]:
        return [each for each in declared.dependencies if each.name not in self._callers | self._services]

    def _to_call(self, declared: Dependant) -> Callable[..., Awaitable[Any]]:
        """Return what the framework calls: the endpoint, with what was resolved before."""
        endpoint, name = self.endpoint, declared.request_param_name

        async def call(**values: Any) -> Any:
            request: Request = values[name] if name else values.pop(_REQUEST)
            return await endpoint(**values, **request.scope[_RESOLVED])

        return call

    async def _resolve(self, request: Request) -> dict[str, Any]:
        """Return the caller and the services by the names of the endpoint's parameters. Raises Problem."""
        resolved: dict[str, Any] = {name: await identify(request) for name, identify in self._callers.items()}
        for name, service in self._services.items():
            resolved[name] = service.find(request)
        return resolved

    def _needs_no_framework(self) -> bool:
        """Return whether the framework has nothing to validate, resolve or serialize."""
        declared = self.dependant
        parameters = (declared.query_params, declared.header_params, declared.cookie_params, declared.body_params)
        ids = all(
            isinstance(self.param_convertors.get(each.alias), UUIDConvertor) and each.field_info.annotation is UUID
            for each in declared.path_params
        )
        other = (declared.response_param_name, declared.background_tasks_param_name)
        returns = signature(self.endpoint).return_annotation is Response
        return returns and ids and not any((self._find_rest(declared), *parameters, *other))

    async def _call_directly(self, request: Request) -> Response:
        values = await self._resolve(request)
        if (name := self.dependant.request_param_name) is not None:
            values[name] = request
        response: Response = await self.endpoint(**values, **request.path_params)
        return response


def create_router(prefix: str, tag: str) -> APIRouter:
    """Return a router for operations below a path, which the OpenAPI document lists under one tag."""
    return APIRouter(prefix=prefix, tags=[tag], route_class=OperationRoute)


def add_routes(app: FastAPI, *routers: APIRouter) -> None:
    """Add the routes of routers to an application.

    The framework's own way of including a router searches its routes twice for each request.
    """
    for router in routers:
        app.router.routes.extend(router.routes)
