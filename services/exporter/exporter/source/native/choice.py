"""The choice of transcoder: native in the worker, or the source's server."""

from typing import Literal

from exporter.source.native import NativeMissing, load
from shared.errors import InvalidSettings
from shared.observe import RECORDS_MADE_BY, get_logger

log = get_logger(__name__)
TranscoderSetting = Literal["auto", "native", "server"]
Transcoding = Literal["native", "server"]


def choose_transcoder(setting: TranscoderSetting) -> Transcoding:
    """Return where the records' JSON text is built, and set the metric and log it once.

    Raises InvalidSettings when the setting requires the native transcoder and it cannot be used.
    """
    missing = ""
    try:
        if setting != "server":
            load()
    except NativeMissing as error:
        if setting == "native":
            raise InvalidSettings(f"SLUICE_EXPORTER_TRANSCODER is native, but {error}") from None
        missing = str(error)
    chosen: Transcoding = "server" if setting == "server" or missing else "native"
    for each in ("native", "server"):
        RECORDS_MADE_BY.labels(each).set(each == chosen)
    log.info("transcoder chosen", transcoder=chosen, **({"reason": missing} if missing else {}))
    return chosen
