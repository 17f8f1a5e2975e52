"""The JSON body that uploads a certificate."""

from pydantic import ConfigDict, Field

from job_api.bodies.fields import Body


class CertificateBody(Body):
    """A certificate as PEM text."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "name": "Data protection officer 2027",
                    "pem": "-----BEGIN CERTIFICATE-----\nMIID...\n-----END CERTIFICATE-----\n",
                }
            ]
        },
    )

    name: str = Field(max_length=1_000, description="1 to 200 characters after trimming")
    pem: str = Field(
        max_length=1 << 20,
        description="exactly one X.509 certificate with an RSA key of 2048 bits or more, in PEM or base64",
    )
