"""The content key, encrypted for each recipient: RSA (RFC 5652, 6.2.1) and elliptic curves (RFC 5753, 3.1)."""

from collections.abc import Sequence
from typing import Final

from asn1crypto import algos, cms, core, x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from shared.certificates import RecipientCertificate
from shared.events.values import Cipher

_EC_PUBLIC_KEY: Final = "1.2.840.10045.2.1"
_STANDARD_ECDH_SHA256_KDF: Final = "1.3.132.1.11.1"
_AES256_WRAP: Final = "2.16.840.1.101.3.4.1.45"
_WRAPPING_KEY_BYTES: Final = 32


def build_recipient_infos(
    recipients: Sequence[RecipientCertificate], content_key: bytes, cipher: Cipher
) -> cms.RecipientInfos:
    """Encrypt the content key for each certificate, which is identified by its issuer and serial number."""
    return cms.RecipientInfos([_build_recipient_info(each, content_key, cipher) for each in recipients])


def get_envelope_version(recipients: Sequence[RecipientCertificate]) -> int:
    """Return the version of EnvelopedData with these recipients (RFC 5652, section 6.1)."""
    return 0 if all(each.key_type == "rsa" for each in recipients) else 2


def _build_recipient_info(recipient: RecipientCertificate, content_key: bytes, cipher: Cipher) -> cms.RecipientInfo:
    certificate = x509.Certificate.load(recipient.der)
    identifier = cms.IssuerAndSerialNumber(
        {"issuer": certificate.issuer, "serial_number": certificate["tbs_certificate"]["serial_number"]}
    )
    if isinstance(recipient.public_key, RSAPublicKey):
        transport = _encrypt_key(recipient.public_key, content_key, cipher, identifier)
        return cms.RecipientInfo(name="ktri", value=transport)
    return cms.RecipientInfo(name="kari", value=_agree_on_key(recipient.public_key, content_key, identifier))


def _encrypt_key(
    key: RSAPublicKey, content_key: bytes, cipher: Cipher, identifier: cms.IssuerAndSerialNumber
) -> cms.KeyTransRecipientInfo:
    return cms.KeyTransRecipientInfo(
        {
            "version": "v0",
            "rid": cms.RecipientIdentifier(name="issuer_and_serial_number", value=identifier),
            "key_encryption_algorithm": _get_rsa_algorithm(cipher),
            "encrypted_key": key.encrypt(content_key, _get_rsa_padding(cipher)),
        }
    )


def _get_rsa_padding(cipher: Cipher) -> rsa_padding.AsymmetricPadding:
    if cipher == "aes-256-cbc":
        return rsa_padding.PKCS1v15()
    return rsa_padding.OAEP(mgf=rsa_padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


def _get_rsa_algorithm(cipher: Cipher) -> cms.KeyEncryptionAlgorithm:
    if cipher == "aes-256-cbc":
        return cms.KeyEncryptionAlgorithm({"algorithm": "rsaes_pkcs1v15", "parameters": core.Null()})
    sha256 = algos.DigestAlgorithm({"algorithm": "sha256"})
    mask = algos.MaskGenAlgorithm({"algorithm": "mgf1", "parameters": sha256})
    parameters = algos.RSAESOAEPParams({"hash_algorithm": sha256, "mask_gen_algorithm": mask})
    return cms.KeyEncryptionAlgorithm({"algorithm": "rsaes_oaep", "parameters": parameters})


def _agree_on_key(
    key: EllipticCurvePublicKey, content_key: bytes, identifier: cms.IssuerAndSerialNumber
) -> "_KeyAgreeRecipientInfo":
    """Wrap the content key under a secret that only the recipient's key and a key that is used once agree on."""
    ephemeral = ec.generate_private_key(key.curve)
    secret = ephemeral.exchange(ec.ECDH(), key)
    point = ephemeral.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    derivation = X963KDF(hashes.SHA256(), _WRAPPING_KEY_BYTES, _build_shared_info().dump())
    return _KeyAgreeRecipientInfo(
        {
            "version": "v3",
            "originator": _OriginatorKey(
                "key", _OriginatorPublicKey({"algorithm": {"algorithm": _EC_PUBLIC_KEY}, "public_key": point})
            ),
            "key_encryption_algorithm": {
                "algorithm": _STANDARD_ECDH_SHA256_KDF,
                "parameters": {"algorithm": _AES256_WRAP},
            },
            "recipient_encrypted_keys": [
                {"rid": identifier, "encrypted_key": aes_key_wrap(derivation.derive(secret), content_key)}
            ],
        }
    )


def _build_shared_info() -> "_SharedInfo":
    bits = (8 * _WRAPPING_KEY_BYTES).to_bytes(4, "big")
    return _SharedInfo({"key_info": {"algorithm": _AES256_WRAP}, "size": bits})


class _Algorithm(core.Sequence):  # type: ignore[misc]  # asn1crypto ships no types
    """An algorithm without parameters, as RFC 3565 wants it for key wrapping and RFC 5753 allows it for curves."""

    _fields = [("algorithm", core.ObjectIdentifier)]  # noqa: RUF012 asn1crypto's form


class _AgreementAlgorithm(core.Sequence):  # type: ignore[misc]  # asn1crypto ships no types
    _fields = [("algorithm", core.ObjectIdentifier), ("parameters", _Algorithm)]  # noqa: RUF012 asn1crypto's form


class _SharedInfo(core.Sequence):  # type: ignore[misc]  # asn1crypto ships no types
    """ECC-CMS-SharedInfo of RFC 5753, section 7.2; `size` is that of the wrapping key in bits, in four bytes."""

    _fields = [  # noqa: RUF012 asn1crypto's form
        ("key_info", _Algorithm),
        ("size", core.OctetString, {"explicit": 2}),
    ]


class _PointBits(core.OctetBitString):  # type: ignore[misc]  # asn1crypto ships no types
    """A point in a BIT STRING."""


class _OriginatorPublicKey(core.Sequence):  # type: ignore[misc]  # asn1crypto ships no types
    _fields = [("algorithm", _Algorithm), ("public_key", _PointBits)]  # noqa: RUF012 asn1crypto's form


class _OriginatorKey(core.Choice):  # type: ignore[misc]  # asn1crypto ships no types
    """The one of the choices of OriginatorIdentifierOrKey (RFC 5652) that RFC 5753 allows here."""

    _alternatives = [("key", _OriginatorPublicKey, {"implicit": 1})]  # noqa: RUF012 asn1crypto's form


class _RecipientEncryptedKey(core.Sequence):  # type: ignore[misc]  # asn1crypto ships no types
    _fields = [("rid", cms.IssuerAndSerialNumber), ("encrypted_key", core.OctetString)]  # noqa: RUF012 asn1crypto's form


class _RecipientEncryptedKeys(core.SequenceOf):  # type: ignore[misc]  # asn1crypto ships no types
    _child_spec = _RecipientEncryptedKey


class _KeyAgreeRecipientInfo(cms.KeyAgreeRecipientInfo):  # type: ignore[misc]  # asn1crypto ships no types
    """With the originator's key alone, as RFC 5753 has it, and the recipient's issuer and serial number."""

    _fields = [  # noqa: RUF012 asn1crypto's form
        ("version", cms.CMSVersion),
        ("originator", _OriginatorKey, {"explicit": 0}),
        ("key_encryption_algorithm", _AgreementAlgorithm),
        ("recipient_encrypted_keys", _RecipientEncryptedKeys),
    ]
