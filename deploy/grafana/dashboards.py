"""What the dashboards show. After a change: `python -m deploy.grafana`."""

from deploy.grafana.panels import Dashboard, Panel, Query, Row


def quantiles(metric: str, by: str = "", where: str = "") -> tuple[Query, ...]:
    """Return the median and the 99th percentile of a histogram, apart by the label `by`."""
    labels, legend = (f"{by}, le", f" {{{{{by}}}}}") if by else ("le", "")
    return tuple(
        Query(
            f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{where}[$__rate_interval])))",
            f"{name}{legend}",
        )
        for share, name in ((0.5, "median"), (0.99, "99 %"))
    )


def rate(metric: str, by: str, where: str = "") -> tuple[Query, ...]:
    """Return what a counter counts a second, apart by one label."""
    return (Query(f"sum by ({by}) (rate({metric}{where}[$__rate_interval]))", f"{{{{{by}}}}}"),)


def trouble(metric: str, by: str, where: str = "") -> tuple[Query, ...]:
    """Return the rate of what need never have happened, and so may have no series: nothing is shown as 0."""
    (query,) = rate(metric, by, where)
    return (Query(f"{query.expr} or on () vector(0)", query.legend),)


def of_process(pattern: str) -> Row:
    """Return what the processes of a kind cost their machine."""
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


LAG = Panel("Messages not yet handled", (Query("sum by (group) (sluice_consumer_lag_messages)", "{{group}}"),))
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
                    "Budget spent, last hour's pace",
                    (Query("sluice:slo_errors:ratio_1h / on (slo) sluice:slo_budget:ratio", "{{slo}}"),),
                    says="1 means that the error budget is spent exactly when the month ends",
                    bad_from=1,
                ),
                Panel("Runs ended an hour", (Query("sluice:runs_ended:increase1h", "{{state}}"),)),
                Panel("Exported", (Query("sluice:exported_bytes:rate5m", "{{form}}"),), "Bps"),
                Panel(
                    "Certificates that expire",
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
            ),
        ),
        of_process("sluice-.+"),
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
                    says="what the number of exporters follows",
                ),
                Panel("Runs by exporter", (Query("sluice_runs_claimed", "{{instance}}"),)),
                Panel("Ends", rate("sluice_runs_ended_total", "state")),
            ),
        ),
        Row(
            "Throughput",
            (
                Panel("Rows a second", (Query("sluice:exported_rows:rate5m", "{{kind}}"),)),
                Panel("Bytes a second", (Query("sluice:exported_bytes:rate5m", "{{form}}"),), "Bps"),
                Panel("From claim to success", quantiles("sluice_run_seconds"), "s"),
                Panel("Phases", quantiles("sluice_run_phase_seconds", "phase"), "s"),
            ),
        ),
        Row(
            "Trouble",
            (
                Panel("Failed attempts", trouble("sluice_export_errors_total", "code")),
                Panel("Longest wait in the queue", (Query("max(sluice_runs_oldest_wait_seconds)", "oldest run"),), "s"),
                Panel("Longest standstill", (Query("sluice_run_silent_seconds", "{{instance}}"),), "s"),
                Panel("Leases lost", (Query("sum(sluice_leases_lost_total)", "taken over"),)),
                OUTBOX,
            ),
        ),
        of_process("sluice-exporter"),
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
                Panel("Slots a second", rate("sluice_slots_total", "fate")),
                Panel("Skipped, by reason", trouble("sluice_slots_total", "reason", '{fate="skipped"}')),
            ),
        ),
        Row(
            "Ledger",
            (
                Panel("Jobs with a next slot", (Query("max(sluice_scheduled_jobs)", "jobs"),)),
                Panel("Next slot", (Query("max(sluice_next_slot_timestamp_seconds) * 1000"),), "dateTimeAsIso", "stat"),
                Panel(
                    "Slots audited a second",
                    (Query("sum(rate(sluice_audited_slots_total[$__rate_interval]))", "slots"),),
                ),
                Panel(
                    "Differences found",
                    (Query("sum(sluice_audit_differences_total) or vector(0)"),),
                    kind="stat",
                    bad_from=1,
                ),
            ),
        ),
        Row(
            "Triggers",
            (Panel("From decision to Kafka", quantiles("sluice_outbox_publish_seconds", "service"), "s"), OUTBOX),
        ),
        of_process("sluice-scheduler"),
    ),
)

HISTORY = Dashboard(
    "history",
    "Sluice: history",
    (
        Row(
            "Run log",
            (
                Panel("Events recorded a second", rate("sluice_recorded_events_total", "outcome")),
                Panel(
                    "Messages handled a second",
                    rate("sluice_consumed_messages_total", "group", '{group=~".*history.*"}'),
                ),
                LAG,
            ),
        ),
        Row(
            "Time remaining",
            (
                Panel(
                    "Estimates a second", (Query("sum(rate(sluice_estimates_sent_total[$__rate_interval]))", "sent"),)
                ),
                Panel("Error, as a share of the run", quantiles("sluice_eta_error_ratio"), "percentunit"),
                Panel(
                    "Ends within the 80 % band",
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
            "Readers",
            (
                Panel("Live clients", (Query("sum(sluice_live_clients)", "connected"),)),
                Panel("Live clients dropped", (Query("sum(sluice_live_clients_dropped_total)", "too slow"),)),
                Panel("Downloads a second", rate("sluice_downloads_total", "form")),
                Panel("Files overdue", (Query("max(sluice_files_overdue)"),), kind="stat", bad_from=1),
            ),
        ),
        of_process("sluice-history-.+"),
    ),
)

API = Dashboard(
    "api",
    "Sluice: API",
    (
        Row(
            "Requests",
            (
                Panel("Requests a second", rate("sluice_http_request_seconds_count", "service")),
                Panel("By status", rate("sluice_http_request_seconds_count", "status")),
                Panel("Time to answer", quantiles("sluice_http_request_seconds", "service"), "s"),
            ),
        ),
        Row(
            "Routes",
            (
                Panel(
                    "Busiest",
                    (
                        Query(
                            "topk(10, sum by (route) (rate(sluice_http_request_seconds_count[$__rate_interval])))",
                            "{{route}}",
                        ),
                    ),
                ),
                Panel(
                    "Slowest, mean",
                    (
                        Query(
                            "topk(10, sum by (route) (rate(sluice_http_request_seconds_sum[$__rate_interval]))"
                            " / sum by (route) (rate(sluice_http_request_seconds_count[$__rate_interval])))",
                            "{{route}}",
                        ),
                    ),
                    "s",
                ),
                Panel("Faults of ours", trouble("sluice_http_request_seconds_count", "route", '{status=~"5.."}')),
            ),
        ),
        of_process("sluice-(job-api|history-api)"),
    ),
)

DASHBOARDS = (OVERVIEW, EXPORTERS, SCHEDULER, HISTORY, API)
