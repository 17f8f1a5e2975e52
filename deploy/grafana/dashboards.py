"""The content of the dashboards. After a change, run `python -m deploy.grafana`."""

from deploy.grafana.panels import Dashboard, Panel, Query, Row


def quantiles(metric: str, by: str = "", where: str = "") -> tuple[Query, ...]:
    """Return the median and the 99th percentile of a histogram, grouped by the label `by`."""
    labels, legend = (f"{by}, le", f" {{{{{by}}}}}") if by else ("le", "")
    return tuple(
        Query(
            f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{where}[$__rate_interval])))",
            f"{name}{legend}",
        )
        for share, name in ((0.5, "median"), (0.99, "99 %"))
    )


def rate(metric: str, by: str, where: str = "") -> tuple[Query, ...]:
    """Return the rate of a counter per second, grouped by one label."""
    return (Query(f"sum by ({by}) (rate({metric}{where}[$__rate_interval]))", f"{{{{{by}}}}}"),)


def error_rate(metric: str, by: str, where: str = "") -> tuple[Query, ...]:
    """Return the rate of a counter that may have no series yet, which is shown as 0."""
    (query,) = rate(metric, by, where)
    return (Query(f"{query.expr} or on () vector(0)", query.legend),)


def process_row(pattern: str) -> Row:
    """Return the resource usage of the processes whose job matches a pattern."""
    where = f'{{job=~"{pattern}"}}'
    return Row(
        "Processes",
        (
            Panel(
                "CPU", (Query(f"rate(process_cpu_seconds_total{where}[$__rate_interval])", "{{instance}}"),), "short"
            ),
            Panel("Memory", (Query(f"process_resident_memory_bytes{where}", "{{instance}}"),), "bytes"),
            Panel("Open files", (Query(f"process_open_fds{where}", "{{instance}}"),)),
        ),
    )


LAG = Panel("Unhandled messages", (Query("sum by (group) (sluice_consumer_lag_messages)", "{{group}}"),))
OUTBOX = Panel(
    "Oldest unpublished event", (Query("max by (service) (sluice_outbox_oldest_seconds)", "{{service}}"),), "s"
)

OVERVIEW = Dashboard(
    "overview",
    "Sluice: overview",
    (
        Row(
            "Now",
            (
                Panel("Processes", (Query('sum by (job) (up{job=~"sluice-.+"})', "{{job}}"),), kind="stat"),
                Panel("Runs waiting", (Query("max(sluice_runs_waiting)"),), kind="stat"),
                Panel("Runs in progress", (Query("sum(sluice_runs_claimed)"),), kind="stat"),
                Panel("Jobs with a next slot", (Query("max(sluice_scheduled_jobs)"),), kind="stat"),
            ),
        ),
        Row(
            "Objectives",
            (
                Panel(
                    "Error budget burn rate, last hour",
                    (Query("sluice:slo_errors:ratio_1h / on (slo) sluice:slo_budget:ratio", "{{slo}}"),),
                    description="At 1, the error budget lasts exactly until the end of the month",
                    bad_from=1,
                ),
                Panel("Runs ended per hour", (Query("sluice:runs_ended:increase1h", "{{state}}"),)),
                Panel("Exported", (Query("sluice:exported_bytes:rate5m", "{{form}}"),), "Bps"),
                Panel(
                    "Expiring certificates",
                    (Query("max by (days) (sluice_certificates_expiring)", "{{days}} days"),),
                ),
            ),
        ),
        Row(
            "Events",
            (
                LAG,
                OUTBOX,
                Panel(
                    "Dead letters",
                    (Query("sum by (group) (sluice_dead_letters_total) or on () vector(0)", "{{group}}"),),
                    bad_from=1,
                ),
                Panel(
                    "Partitions whose next message waits",
                    (
                        Query(
                            "sum by (group, reason) (sluice_consumer_waiting_partitions) or on () vector(0)",
                            "{{group}} {{reason}}",
                        ),
                    ),
                    bad_from=1,
                ),
            ),
        ),
        process_row("sluice-.+"),
    ),
)

EXPORTERS = Dashboard(
    "exporters",
    "Sluice: exporters",
    (
        Row(
            "Work",
            (
                Panel(
                    "Work for exporters",
                    (Query("sluice:runs:work", "queued and running"), Query("sum(sluice_runs_claimed)", "running")),
                    description="Autoscaling follows the sum of queued and running work",
                ),
                Panel("Runs by exporter", (Query("sluice_runs_claimed", "{{instance}}"),)),
                Panel("Runs ended per second", rate("sluice_runs_ended_total", "state")),
            ),
        ),
        Row(
            "Throughput",
            (
                Panel("Rows per second", (Query("sluice:exported_rows:rate5m", "{{kind}}"),)),
                Panel("Bytes per second", (Query("sluice:exported_bytes:rate5m", "{{form}}"),), "Bps"),
                Panel("Time from claim to success", quantiles("sluice_run_seconds"), "s"),
                Panel("Duration of phases", quantiles("sluice_run_phase_seconds", "phase"), "s"),
            ),
        ),
        Row(
            "Problems",
            (
                Panel("Failed attempts", error_rate("sluice_export_errors_total", "code")),
                Panel("Longest wait in the queue", (Query("max(sluice_runs_oldest_wait_seconds)", "oldest run"),), "s"),
                Panel("Longest stall", (Query("sluice_run_silent_seconds", "{{instance}}"),), "s"),
                Panel("Leases lost", (Query("sum(sluice_leases_lost_total)", "taken over"),)),
                OUTBOX,
            ),
        ),
        Row(
            "Deliveries",
            (
                Panel("Deliveries ended per second", error_rate("sluice_deliveries_ended_total", "state")),
                Panel("Failed attempts of deliveries", error_rate("sluice_delivery_errors_total", "code")),
                Panel("Delivered", error_rate("sluice_delivered_bytes_total", "kind"), "Bps"),
                Panel(
                    "Longest wait of a delivery", (Query("max(sluice_deliveries_oldest_wait_seconds)", "oldest"),), "s"
                ),
                Panel("Failing destinations", (Query("max(sluice_destinations_failing)"),), kind="stat", bad_from=1),
            ),
        ),
        process_row("sluice-exporter"),
    ),
)

SCHEDULER = Dashboard(
    "scheduler",
    "Sluice: scheduler",
    (
        Row(
            "Slots",
            (
                Panel("Lateness", quantiles("sluice_slot_lateness_seconds"), "s"),
                Panel("Slots per second", rate("sluice_slots_total", "fate")),
                Panel("Skipped slots by reason", error_rate("sluice_slots_total", "reason", '{fate="skipped"}')),
            ),
        ),
        Row(
            "Ledger",
            (
                Panel("Jobs with a next slot", (Query("max(sluice_scheduled_jobs)", "jobs"),)),
                Panel("Next slot", (Query("max(sluice_next_slot_timestamp_seconds) * 1000"),), "dateTimeAsIso", "stat"),
                Panel(
                    "Audited slots per second",
                    (Query("sum(rate(sluice_audited_slots_total[$__rate_interval]))", "slots"),),
                ),
                Panel(
                    "Differences",
                    (Query("sum(sluice_audit_differences_total) or vector(0)"),),
                    kind="stat",
                    bad_from=1,
                ),
            ),
        ),
        Row(
            "Triggers",
            (Panel("Time from decision to Kafka", quantiles("sluice_outbox_publish_seconds", "service"), "s"), OUTBOX),
        ),
        process_row("sluice-scheduler"),
    ),
)

HISTORY = Dashboard(
    "history",
    "Sluice: history",
    (
        Row(
            "Run log",
            (
                Panel("Recorded events per second", rate("sluice_recorded_events_total", "outcome")),
                Panel(
                    "Handled messages per second",
                    rate("sluice_consumed_messages_total", "group", '{group=~".*history.*"}'),
                ),
                LAG,
            ),
        ),
        Row(
            "Time remaining",
            (
                Panel(
                    "Estimates per second",
                    (Query("sum(rate(sluice_estimates_sent_total[$__rate_interval]))", "sent"),),
                ),
                Panel("ETA error, as a fraction of the run", quantiles("sluice_eta_error_ratio"), "percentunit"),
                Panel(
                    "Run ends within the 80 % band",
                    (
                        Query(
                            "sum(rate(sluice_eta_band_coverage_sum[$__rate_interval]))"
                            " / sum(rate(sluice_eta_band_coverage_count[$__rate_interval]))",
                            "covered",
                        ),
                    ),
                    "percentunit",
                ),
            ),
        ),
        Row(
            "Clients",
            (
                Panel("Live clients", (Query("sum(sluice_live_clients)", "connected"),)),
                Panel("Disconnected live clients", (Query("sum(sluice_live_clients_dropped_total)", "too slow"),)),
                Panel("Downloads per second", rate("sluice_downloads_total", "form")),
                Panel("Overdue files", (Query("max(sluice_files_overdue)"),), kind="stat", bad_from=1),
            ),
        ),
        process_row("sluice-history-.+"),
    ),
)

API = Dashboard(
    "api",
    "Sluice: API",
    (
        Row(
            "Requests",
            (
                Panel("Requests per second", rate("sluice_http_request_seconds_count", "service")),
                Panel("Requests by status", rate("sluice_http_request_seconds_count", "status")),
                Panel("Response time", quantiles("sluice_http_request_seconds", "service"), "s"),
            ),
        ),
        Row(
            "Routes",
            (
                Panel(
                    "Busiest routes",
                    (
                        Query(
                            "topk(10, sum by (route) (rate(sluice_http_request_seconds_count[$__rate_interval])))",
                            "{{route}}",
                        ),
                    ),
                ),
                Panel(
                    "Slowest routes, mean",
                    (
                        Query(
                            "topk(10, sum by (route) (rate(sluice_http_request_seconds_sum[$__rate_interval]))"
                            " / sum by (route) (rate(sluice_http_request_seconds_count[$__rate_interval])))",
                            "{{route}}",
                        ),
                    ),
                    "s",
                ),
                Panel("Server errors", error_rate("sluice_http_request_seconds_count", "route", '{status=~"5.."}')),
                Panel("Requests refused by a limit", error_rate("sluice_http_refused_total", "reason")),
            ),
        ),
        process_row("sluice-(job-api|history-api)"),
    ),
)

DASHBOARDS = (OVERVIEW, EXPORTERS, SCHEDULER, HISTORY, API)
