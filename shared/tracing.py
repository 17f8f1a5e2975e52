"""Trace context (W3C `traceparent`) through the OpenTelemetry API, which costs next to nothing without an SDK."""

from collections.abc import Iterator
from contextlib import contextmanager
from secrets import randbits

from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_propagator = TraceContextTextMapPropagator()


def current_traceparent() -> str:
    """Return the current trace context as a `traceparent` value; that of a new trace outside any."""
    if trace.get_current_span().get_span_context().is_valid:
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        return carrier["traceparent"]
    ids = f"{randbits(192):048x}"
    return f"00-{ids[:32]}-{ids[32:]}-01"


@contextmanager
def continue_trace(parent: str | None) -> Iterator[None]:
    """Run the block within the trace of a `traceparent` value; a malformed or missing value begins a new trace."""
    token = context.attach(_propagator.extract({"traceparent": parent}) if parent else _new_trace())
    try:
        yield
    finally:
        context.detach(token)


def _new_trace() -> context.Context:
    """Return a context with a new trace without the propagator, which is slow: most requests come without a trace."""
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    span = trace.SpanContext(randbits(128) | 1, randbits(64) | 1, is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(trace.NonRecordingSpan(span))


def current_trace_id() -> str | None:
    """Return the current trace's id (32 hex digits), or None outside any trace."""
    trace_id = trace.get_current_span().get_span_context().trace_id
    return f"{trace_id:032x}" if trace_id else None
