"""The addresses of the pages of preferences and of users."""

from starlette.routing import Route

from job_api.pages.account.preferences import Preferences
from job_api.pages.account.users import Users


def people_pages(preferences: Preferences, users: Users) -> list[Route]:
    """Return the routes of certificates, passwords, keys and users."""
    certificate, key = "/preferences/certificates", "/preferences/keys"
    return [
        Route("/preferences", preferences.show, methods=["GET"]),
        Route(certificate, preferences.upload, methods=["POST"]),
        Route(certificate + "/{certificate_id:uuid}/retire", preferences.asking_to_retire, methods=["GET"]),
        Route(certificate + "/{certificate_id:uuid}/retire", preferences.retire, methods=["POST"]),
        Route("/preferences/password", preferences.change_password, methods=["POST"]),
        Route(key, preferences.make_key, methods=["POST"]),
        Route(key + "/{key_id:uuid}/revoke", preferences.asking_to_revoke, methods=["GET"]),
        Route(key + "/{key_id:uuid}/revoke", preferences.revoke, methods=["POST"]),
        Route("/users", users.index, methods=["GET"]),
        Route("/users", users.create, methods=["POST"]),
        Route("/users/{user_id:uuid}", users.show, methods=["GET"]),
        Route("/users/{user_id:uuid}", users.change, methods=["POST"]),
    ]
