"""The routes of the login page, of preferences and of users."""

from starlette.routing import Route

from job_api.pages.account import api_keys, certificates, destinations, login, preferences, single_sign_on, users
from job_api.sign_in import CALLBACK

_DESTINATION = "/preferences/destinations/{destination_id:uuid}"
ACCOUNT_ROUTES = (
    Route("/login", login.show_login, methods=["GET"]),
    Route("/login", login.log_in, methods=["POST"]),
    Route(single_sign_on.START_PATH, single_sign_on.begin_sign_in, methods=["GET"]),
    Route(CALLBACK, single_sign_on.finish_sign_in, methods=["GET"]),
    Route("/logout", login.log_out, methods=["POST"]),
    Route("/preferences", preferences.show_preferences, methods=["GET"]),
    Route("/preferences/password", preferences.change_password, methods=["POST"]),
    Route("/preferences/certificates", certificates.upload_certificate, methods=["POST"]),
    Route("/preferences/certificates/{certificate_id:uuid}/retire", certificates.confirm_retirement, methods=["GET"]),
    Route("/preferences/certificates/{certificate_id:uuid}/retire", certificates.retire_certificate, methods=["POST"]),
    Route("/preferences/destinations", destinations.show_destinations, methods=["GET"]),
    Route("/preferences/destinations", destinations.create_destination, methods=["POST"]),
    Route("/preferences/destinations/new", destinations.show_new_destination, methods=["GET"]),
    Route(_DESTINATION, destinations.show_destination, methods=["GET"]),
    Route(_DESTINATION, destinations.change_destination, methods=["POST"]),
    Route(f"{_DESTINATION}/state", destinations.switch_destination, methods=["POST"]),
    Route(f"{_DESTINATION}/test", destinations.test_destination, methods=["POST"]),
    Route(f"{_DESTINATION}/trust", destinations.trust_host_key, methods=["POST"]),
    Route(f"{_DESTINATION}/delete", destinations.confirm_deletion, methods=["GET"]),
    Route(f"{_DESTINATION}/delete", destinations.delete_destination, methods=["POST"]),
    Route("/preferences/keys", api_keys.create_key, methods=["POST"]),
    Route("/preferences/keys/{key_id:uuid}/revoke", api_keys.confirm_revocation, methods=["GET"]),
    Route("/preferences/keys/{key_id:uuid}/revoke", api_keys.revoke_key, methods=["POST"]),
    Route("/users", users.show_users, methods=["GET"]),
    Route("/users", users.create_user, methods=["POST"]),
    Route("/users/{user_id:uuid}", users.show_user, methods=["GET"]),
    Route("/users/{user_id:uuid}", users.change_user, methods=["POST"]),
)
