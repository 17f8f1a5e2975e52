"""The commands that pages print, each in one place: to make a certificate, to open a file, to resume a download.

Tests run them literally, so whatever changes here must still work as printed.
"""

from dataclasses import dataclass
from shlex import quote
from typing import Final

API_KEY_FILE: Final = "~/.sluice-key"
"""Where the printed commands, like the `sluice` command's documentation, read an API key."""

_VALID_DAYS: Final = 3 * 365


@dataclass(frozen=True, slots=True)
class PrintedCommand:
    """A command to copy: where it runs, its text, and what to know before it is run."""

    platform: str
    text: str
    note: str = ""


def certificate_commands(name: str = "officer") -> tuple[PrintedCommand, ...]:
    """Return the commands that make a key (`NAME.key.pem`) and a certificate (`NAME.cert.pem`), for each platform.

    `name` consists of letters, digits, `-`, `_` and `.`. Each command asks for the key's passphrase.
    """
    request = (
        f"openssl req -x509 -newkey rsa:3072 -sha256 -days {_VALID_DAYS} "
        f'-keyout {name}.key.pem -out {name}.cert.pem -subj "/CN={name}"'
    )
    # The commands do without -addext, which the LibreSSL of macOS lacks.
    in_shell = f"(umask 077; {request})"
    keep = f"Upload {name}.cert.pem. Keep {name}.key.pem and its passphrase: without them no file can be opened."
    protect = f'icacls {name}.key.pem /inheritance:r /grant:r "$($env:USERNAME):F"'
    return (
        PrintedCommand("sluice", f"sluice certificates new {name}", keep),
        PrintedCommand("Linux", in_shell, keep),
        PrintedCommand("macOS", in_shell, keep),
        PrintedCommand("PowerShell", f"{request}; {protect}", f"Needs OpenSSL, which Windows lacks. {keep}"),
    )


def opening_commands(file_name: str, name: str = "officer") -> tuple[PrintedCommand, ...]:
    """Return the commands that decrypt and unpack a downloaded file with the key that `certificate_commands` makes."""
    file, archive = quote(file_name), quote(file_name.removesuffix(".p7m"))
    decrypt = (
        f"openssl cms -decrypt -binary -inform DER -in {file} -inkey {name}.key.pem -recip {name}.cert.pem "
        f"-out {archive}"
    )
    recipient = "With several recipients, OpenSSL 3.2 and later need -recip to find the entry of your certificate."
    limit = "OpenSSL reads the whole file into memory and fails near 1.5 GB."
    return (
        PrintedCommand("sluice", f"sluice decrypt {file} --key {name}.key.pem", "Opens files of any size."),
        PrintedCommand("Linux", f"{decrypt} && unzip {archive}", f"{recipient} {limit}"),
        PrintedCommand("macOS", f"{decrypt} && unzip {archive}", f"{recipient} {limit}"),
        PrintedCommand("PowerShell", f"{decrypt}; Expand-Archive {archive} .", f"{recipient} {limit}"),
    )


def resume_commands(url: str, file_name: str, sha256: str, *, is_link: bool = False) -> tuple[PrintedCommand, ...]:
    """Return the commands that download a file, or the rest of it when run again, and then verify its SHA-256 (hex).

    A short-lived link needs no API key (`is_link`); any other address is requested with the key in `API_KEY_FILE`,
    which other users of the machine cannot read from the command's arguments.
    """
    file = quote(file_name)
    fetch = f"curl --fail --location --retry 5 --continue-at - --output {file}"
    if is_link:
        download = f"{fetch} {quote(url)}"
    else:
        header = f"printf 'Authorization: Bearer %s\\n' \"$(cat {API_KEY_FILE})\""
        download = f"{header} | {fetch} --header @- {quote(url)}"
    note = (
        "Run it again after an interruption: it continues where it stopped. Error 416 then means that the file is "
        "complete already."
    )
    return (
        PrintedCommand("Download", download, note),
        PrintedCommand("Linux", f"echo '{sha256}  '{file} | sha256sum --check"),
        PrintedCommand("macOS", f"echo '{sha256}  '{file} | shasum --algorithm 256 --check"),
    )
