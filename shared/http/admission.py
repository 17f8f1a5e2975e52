"""Admission: each request of a known sender is counted, and holds a place until it ends (`shared.http.places`)."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.auth import Identity
from shared.http.limits import RequestRates
from shared.http.places import Holder, Place, Places, Use

_ADMISSION = "sluice.admission"


class AdmissionMiddleware:
    """Middleware that gives the place of each request back at its end."""

    def __init__(self, app: ASGIApp, *, rates: RequestRates, places: Places) -> None:
        self._app = app
        self._rates = rates
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        admission = scope[_ADMISSION] = _Admission(self._rates, self._places)
        try:
            await self._app(scope, receive, send)
        finally:
            admission.leave()


@dataclass(slots=True)
class _Admission:
    """What one request holds."""

    rates: RequestRates
    places: Places
    place: Place | None = None

    def take(self, holder: Holder, use: Use) -> Place:
        self.leave()
        self.place = self.places.take(holder, use)
        return self.place

    def leave(self) -> None:
        if self.place is not None:
            self.places.leave(self.place)
            self.place = None


def admit(scope: Scope, identity: Identity) -> None:
    """Count a request of an identity, and take a place for it. Raises Problem 429."""
    admission: _Admission = scope[_ADMISSION]
    admission.rates.count(identity)
    admission.take((identity.identity_id, identity.tenant_id), Use.REQUEST)


def take_place(request: Request, identity: Identity, use: Use) -> Place:
    """Exchange the place that a request holds for one of another use. Raises Problem 429."""
    admission: _Admission = request.scope[_ADMISSION]
    return admission.take((identity.identity_id, identity.tenant_id), use)


def take_place_for_address(request: Request, use: Use) -> Place:
    """Take a place for a request of which the network address is all that is known. Raises Problem 429."""
    admission: _Admission = request.scope[_ADMISSION]
    return admission.take((request.client.host if request.client else "unknown", None), use)
