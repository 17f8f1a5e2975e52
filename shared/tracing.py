"""Trace context (W3C `traceparent`) through the OpenTelemetry API, which does nothing costly while no SDK is set up."""

from collections.abc import Iterator
from contextlib import contextmanager
from secrets import randbits

from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_propagator = TraceContextTextMapPropagator()


def current_traceparent() -> str:
    """Return the present trace context as a `traceparent` value; a new trace where there is none."""
    if trace.get_current_span().get_span_context().is_valid:
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        return carrier["traceparent"]
    drawn = f"{randbits(192):048x}"
    return f"00-{drawn[:32]}-{drawn[32:]}-01"


@contextmanager
def continue_trace(parent: str | None) -> Iterator[None]:
    """Work within the trace that the `traceparent` value names; a bad or absent one begins a new trace."""
    token = context.attach(_propagator.extract({"traceparent": parent}) if parent else _new_trace())
    try:
        yield
    finally:
        context.detach(token)


def _new_trace() -> context.Context:
    """Return a context with a new trace, straight: most requests come without one."""
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    drawn = trace.SpanContext(randbits(128) | 1, randbits(64) | 1, is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(trace.NonRecordingSpan(drawn))


def current_trace_id() -> str | None:
    """Return the present trace's id (32 hex digits), or None outside any trace."""
    found = trace.get_current_span().get_span_context().trace_id
    return f"{found:032x}" if found else None
