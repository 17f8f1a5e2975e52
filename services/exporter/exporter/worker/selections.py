"""What an order means: the selections to read, and how to pack them (rules E3 and T3)."""

from exporter.package.packer import PackingOptions
from exporter.package.recipients import accept_recipients
from exporter.source.selection import SelectedWindow, Selection, WindowColumn
from exporter.worker.protocol import RunOrder
from shared.clock import SystemClock
from shared.events.values import FileKind


def build_selections(order: RunOrder) -> dict[FileKind, Selection]:
    """Return a run's selections, one for each kind of file (E3, T3)."""
    settings, is_contact = order.settings, order.settings.type == "contact"
    if settings.timeframe.kind == "since_last_run":
        column = WindowColumn.MODIFIED
    else:
        column = WindowColumn.CREATED if is_contact else WindowColumn.START
    is_bounded = order.window.start is not None or order.window.end is not None
    window = SelectedWindow(column, order.window.start, order.window.end) if is_bounded else None
    kinds: tuple[FileKind, ...] = ("contact",) if is_contact else ("interaction", "interaction-attachment")
    return {
        kind: Selection(kind, settings.source_tenant, settings.media_types, window, conditions=settings.filter or ())
        for kind in kinds
    }


def build_packing_options(order: RunOrder) -> PackingOptions:
    """Return how to pack a run's files. Raises CertificateRefused."""
    settings = order.settings
    return PackingOptions(
        recipients=accept_recipients([pem.encode() for pem in order.certificates], SystemClock().now()),
        split_size=settings.split_size,
        cipher=settings.cipher,
        compression=settings.compression,
    )
