"""Who makes the records' JSON text: the native transcoder here, or the source's server."""

from typing import Literal

from exporter.source.native import NativeMissing, load
from shared.errors import InvalidSettings
from shared.observe import RECORDS_MADE_BY, get_logger

log = get_logger(__name__)
Wanted = Literal["auto", "native", "server"]


def is_native(wanted: Wanted) -> bool:
    """Decide whether records are made here, and say it once. Raises InvalidSettings where that is wanted in vain."""
    missing = ""
    try:
        if wanted != "server":
            load()
    except NativeMissing as error:
        if wanted == "native":
            raise InvalidSettings(f"SLUICE_EXPORTER_TRANSCODER is native, but {error}") from None
        missing = str(error)
    way = "server" if wanted == "server" or missing else "native"
    for each in ("native", "server"):
        RECORDS_MADE_BY.labels(each).set(each == way)
    log.info("records are made", by=way, **({"because": missing} if missing else {}))
    return way == "native"
