"""The JSON body that uploads a certificate."""

from pydantic import ConfigDict, Field

from job_api.bodies.fields import Body

EXAMPLE_PEM = (
    "-----BEGIN CERTIFICATE-----\n"
    "MIIC6jCCAdKgAwIBAgIUKef0ivpKVEAdMKvV91F7Hh157dcwDQYJKoZIhvcNAQEL\n"
    "BQAwJDEQMA4GA1UEAwwHb2ZmaWNlcjEQMA4GA1UECgwHRXhhbXBsZTAgFw0yNjAx\n"
    "MDEwMDAwMDBaGA8yMDk5MDEwMTAwMDAwMFowJDEQMA4GA1UEAwwHb2ZmaWNlcjEQ\n"
    "MA4GA1UECgwHRXhhbXBsZTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEB\n"
    "AMtPweMf+6d+c9pMLzosUi7vR8+WMobosGJen8TNOpONlCqaDu/jn0ZyDkNttlIu\n"
    "T7odl7jruF5jhU2uv6u0a8IORl3/l8S178H0qJKBSDrlC0yPYxBIfGTshaeN9B2w\n"
    "oRLD2TTE53vIIXllQwHjXF7z9FL1huITOjqHgluOeAYtaz1zdVh5xWAMZTpsv94c\n"
    "BffnuIs1+JVcQxzejVx7QlYtM0AQfH/AYrRUfvgst1KzLzjcKPKyIo6MX92h9HaH\n"
    "U46K1YHDHfVCOngZ0LyUlN8Gc37Giftx0kmg0axWC1Z5kFWM6R3ip/8Tp4vPRU2W\n"
    "XLicjeBTzmZT/hbpN11igCsCAwEAAaMSMBAwDgYDVR0PAQH/BAQDAgUgMA0GCSqG\n"
    "SIb3DQEBCwUAA4IBAQBJUbhZV9vQxY+7HK8BG7XNwd5hlLFLbbszpJCICe02Jy6c\n"
    "xn45iVfa9HAdLybEOA9cyUa7NwpPwqbsfqxj2/NxoYhT1bsziS86zq/BVFkZ/Qt+\n"
    "Jmy6mxlLoa7SqcJ/b2yQH7T7+7X0yMFYKnIUJP+fLLBf+Q+cs2r49FBsAFeOAHxX\n"
    "A2xVGVzSMsdKo7maHiGQGDrtz2HGu98DnVj3jXQ3+jGF6ivMWJ4bIshEmf3Xmme0\n"
    "FS7iaR5CqBidyA7tvuw7Qw/g1p/5BK+5TS9W+juTQnZK6VByP9Ekxym93osi0kea\n"
    "EcJVowSFnhkgZ8P7pJcXPwLJsc3GMWXkxwUBNp3/\n"
    "-----END CERTIFICATE-----\n"
)
"""A certificate of an example, valid until 2099, so that the example can be sent as it is."""


class CertificateBody(Body):
    """A certificate as PEM text."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "name": "Data protection officer 2027",
                    "pem": EXAMPLE_PEM,
                }
            ]
        },
    )

    name: str = Field(max_length=1_000, description="1 to 200 characters after trimming")
    pem: str = Field(
        max_length=1 << 20,
        description="exactly one X.509 certificate in PEM or base64, with an RSA key of 2048 bits or more, or an EC "
        "key on P-256, P-384 or P-521",
    )
