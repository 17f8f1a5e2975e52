"""Where a page leads: paths within Sluice, and the login page."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response


def to_local_path(path: str, default: str = "/jobs") -> str:
    """Return a path within Sluice unchanged, and `default` for anything else, such as another site's address."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_local else default


def redirect_to_login(request: Request) -> Response:
    """Return a redirect to the login page, which leads back to the requested page afterwards."""
    requested = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?next={quote(requested if request.method == 'GET' else '/')}", 303)
