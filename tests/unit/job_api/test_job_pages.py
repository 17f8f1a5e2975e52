"""The page of a job in words, and the notices that name what they are about."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from uuid import uuid4

import pytest
from starlette.requests import Request
from starlette.responses import Response

from job_api.domain import Job
from job_api.pages.jobs.job_descriptions import describe_timeframe, explain_job_state, list_settings, warn_of_recipients
from job_api.pages.kit.certificates import find_risk
from job_api.pages.kit.commands import opening_commands
from job_api.pages.kit.notices import NOTICE_COOKIE, NOTICES, read_notice, redirect_with_notice
from job_api.pages.kit.ticks import keep_ticks, read_ticks
from job_api.pages.runs.opening import list_recipients, to_file_stem
from job_api.store.certificates import Certificate
from shared.events import JobSettings, Schedule, Timeframe

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
JOB = Job(
    job_id=uuid4(),
    tenant_id=uuid4(),
    version=1,
    state="active",
    state_reason=None,
    description="",
    settings=JobSettings(
        title="Nightly", source="contact_history", type="interaction", source_tenant=1, timeframe=Timeframe()
    ),
    schedule=Schedule(kind="hourly", start=NOW, every=4),
    catch_up="last",
    overlap="skip",
    created_at=NOW,
    saved_at=NOW,
)


def make(name: str, *, days: float = 365, state: str = "active") -> Certificate:
    return Certificate(
        certificate_id=uuid4(),
        tenant_id=JOB.tenant_id,
        name=name,
        pem="",
        fingerprint="ab",
        subject="",
        key_type="rsa",
        key_bits=3072,
        not_before=NOW,
        not_after=NOW + timedelta(days=days),
        created_at=NOW,
        state=state,  # type: ignore[arg-type]
    )


def naming(*certificates: Certificate) -> Job:
    ids = tuple(each.certificate_id for each in certificates)
    return replace(JOB, settings=replace(JOB.settings, certificates=ids))


def show(cookie: str) -> str | None:
    headers = [(b"cookie", f"{NOTICE_COOKIE}={cookie}".encode())]
    notice = read_notice(Request({"type": "http", "headers": headers}))
    return None if notice is None else str(notice.text) + (f" -> {notice.link}" if notice.link else "")


def cookie_of(name: str, count: int | None = None, *, link: str = "", **subjects: str) -> str:
    header = redirect_with_notice("/jobs", name, count, link=link, **subjects).headers["set-cookie"]
    return header.partition("=")[2].partition(";")[0].strip('"')


@pytest.mark.parametrize(
    ("timeframe", "words"),
    [
        (Timeframe(), "All records"),
        (Timeframe(kind="last", count=1, unit="days"), "Last 1 day before each scheduled run"),
        (Timeframe(kind="last", count=7, unit="weeks"), "Last 7 weeks before each scheduled run"),
        (
            Timeframe(kind="fixed", start=NOW, end=NOW + timedelta(days=1)),
            "2026-11-24 10:00 UTC to 2026-11-25 10:00 UTC",
        ),
        (
            Timeframe(kind="since_last_run"),
            "What has changed since the last successful run; the first run exports all records",
        ),
    ],
)
def test_T1_T2_a_timeframe_is_described_with_its_bounds(timeframe: Timeframe, words: str) -> None:
    assert describe_timeframe(timeframe) == words


def test_J1_settings_are_in_words_and_what_does_not_apply_is_left_out() -> None:
    shown = {label: value for label, value in list_settings(JOB) if value}
    assert shown["Schedule"] == "Every 4 hours from 00:00 UTC"
    assert shown["Media types"] == "All, including ones added later"
    assert "Last saved" not in shown
    once = replace(JOB, schedule=Schedule(kind="once", start=NOW), settings=replace(JOB.settings, type="contact"))
    left_out = {"Media types", "After an outage", "If the previous run is still in progress"}
    assert not left_out & {label for label, value in list_settings(once) if value}


def test_R8_a_suspended_job_says_why() -> None:
    reasons = ("user", "one-time", "failures")
    assert all(explain_job_state(replace(JOB, state="suspended", state_reason=reason)) for reason in reasons)  # type: ignore[arg-type]
    assert explain_job_state(JOB) == ""


def test_C2_a_job_warns_of_recipients_that_are_retired_or_expire() -> None:
    good, soon, retired = make("good"), make("soon", days=6.5), make("old", state="retired")
    assert warn_of_recipients(JOB, [good], NOW) == []
    assert "expires in 6 days" in warn_of_recipients(JOB, [good, soon], NOW)[0]
    assert "No certificate is active" in warn_of_recipients(JOB, [], NOW)[0]
    assert warn_of_recipients(naming(good), [good], NOW) == []
    partly = warn_of_recipients(naming(good, retired), [good, retired], NOW)
    assert partly == ["The certificate “old” is retired: files are no longer encrypted for it."]
    (none_left,) = warn_of_recipients(naming(retired), [retired], NOW)
    assert none_left.startswith("All certificates of this job are retired, so its runs fail: “old”.")


def test_notices_name_what_they_are_about_and_lead_to_it_and_text_is_escaped() -> None:
    shown = show(cookie_of("run-requested", link="/runs/1", job='<b>"Nightly"</b> ß 😀'))
    assert shown is not None
    assert "of <bdi>“&lt;b&gt;&#34;Nightly&#34;&lt;/b&gt; ß 😀”</bdi> has been requested" in shown
    assert shown.endswith(" -> /runs/1")
    assert show(cookie_of("files-deleted", 2)) == "Files deleted: <bdi>2</bdi>."
    assert show(cookie_of("job-saved", job="x" * 500)) is not None
    assert len(cookie_of("job-saved", job="😀" * 500)) < 3000


@pytest.mark.parametrize("name", NOTICES)
def test_every_notice_reads_well_without_its_subject(name: str) -> None:
    text = show(cookie_of(name, 1))
    assert text is not None
    assert "  " not in text
    assert "{" not in text


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "job-saved",
        "%7B%7D",
        quote('["no-such-notice",{},""]'),
        quote('["job-saved",[],""]'),
        quote('[["job-saved"],{},""]'),
        quote('["job-saved",{},7]'),
        "%FF%FE",
    ],
)
def test_a_forged_notice_is_not_shown(forged: str) -> None:
    assert show(forged) is None


def test_a_forged_notice_leads_nowhere_else_and_can_be_encoded() -> None:
    text = show(quote(json.dumps(["job-saved", {"job": "\ud800"}, "https://example.com/"])))
    assert text is not None
    assert "->" not in text
    assert text.encode()


def test_C2_a_job_is_marked_when_its_certificates_are_retired_or_expire_within_30_days() -> None:
    good, soon = make("good"), make("soon", days=12.5)
    active = [good, soon]
    assert find_risk(None, active, NOW) == ""
    assert find_risk(None, [soon], NOW) == "“soon” expires in 12 days"
    assert find_risk(None, [], NOW) == "no active certificate"
    assert find_risk([good.certificate_id], active, NOW) == ""
    assert find_risk([good.certificate_id, soon.certificate_id], active, NOW) == "“soon” expires in 12 days"
    assert find_risk([uuid4()], active, NOW) == "all its certificates are retired"


def test_a_successor_takes_a_certificates_place_once() -> None:
    old, new, other = (uuid4() for _ in range(3))
    job = replace(JOB, settings=replace(JOB.settings, certificates=(old, other, new)))
    after = job.replace_certificate(old, new, NOW)
    assert (after.settings.certificates, after.version) == ((new, other), 2)


def test_ticked_rows_survive_in_a_cookie() -> None:
    ticked = [str(uuid4()) for _ in range(3)] + [f"{uuid4()}:interaction-attachment"]
    answer = Response()
    keep_ticks(answer, "/artifacts", ticked)
    cookie = answer.headers["set-cookie"].partition(";")[0]
    request = Request({"type": "http", "headers": [(b"cookie", cookie.encode())]})
    assert read_ticks(request) == frozenset(ticked)
    keep_ticks(answer, "/artifacts", [f"{uuid4()}:interaction-attachment" for _ in range(500)])
    assert all(len(value) < 4000 for name, value in answer.headers.items() if name == "set-cookie")


def test_P3_a_file_has_commands_for_each_recipient_with_names_that_need_no_quotes() -> None:
    known = [make("Data protection; officer")]
    file = {"name": "Interaction-1.zip.p7m"}
    first, second = list_recipients(file, ["ab", "cd"], known)
    assert first.commands == opening_commands(file["name"], "data-protection-officer")
    assert second.name == "A certificate that is no longer kept"
    assert [to_file_stem(name) for name in ("$(rm x)", "…", "-x")] == ["rm-x", "recipient", "x"]
