//! The mirror's numbers in Prometheus' text format. One table names them all.

use std::fmt::Write;

use kmirror_protocol::net::Throttling;
use kmirror_protocol::net::tls::CertificateInfo;

use crate::flow::event::Side;
use crate::flow::rewrite::{DropReason, ReencodeReason};
use crate::status::{FlowStatus, PartitionState, PartitionStatus, Status};

/// One metric: name, type, help.
struct Metric(&'static str, &'static str, &'static str);

const RECORDS: Metric = Metric("kmirror_records_total", "counter", "Records acknowledged by the target.");
const BYTES: Metric =
    Metric("kmirror_bytes_total", "counter", "Bytes of record batches acknowledged by the target.");
const LAG: Metric =
    Metric("kmirror_lag_offsets", "gauge", "Source offsets not acknowledged by the target yet.");
const LOST: Metric = Metric(
    "kmirror_lost_offsets_total",
    "counter",
    "Source offsets that could not be mirrored: expired, truncated, or of a recreated topic.",
);
const STATE: Metric = Metric(
    "kmirror_partitions",
    "gauge",
    "Partitions of the flow by state: running, retrying (failed, tried again), stopped.",
);
const BATCHES: Metric = Metric(
    "kmirror_batches_total",
    "counter",
    "Source batches by what was done with them (forwarded, reencoded, dropped) and why.",
);
const BATCH_BYTES: Metric =
    Metric("kmirror_batch_bytes_total", "counter", "The same in bytes at the source.");
const RECOVERIES: Metric = Metric(
    "kmirror_recoveries_total",
    "counter",
    "How often a target partition was asked what it holds, after a failed send.",
);
const DUPLICATES: Metric = Metric(
    "kmirror_possible_duplicates_total",
    "counter",
    "Records that may be at the target twice, at most.",
);
const TRANSACTIONS: Metric = Metric(
    "kmirror_transactions_total",
    "counter",
    "Transactions at the target: committed, or aborted and written again.",
);

const THROTTLED: Metric = Metric(
    "kmirror_throttled_seconds_total",
    "counter",
    "Time for which brokers of a side (source, target) asked connections to be silent because of quotas.",
);
const THROTTLED_RESPONSES: Metric =
    Metric("kmirror_throttled_responses_total", "counter", "Responses that asked for such silence.");

const CERTIFICATES: Metric = Metric(
    "kmirror_certificate_not_after_seconds",
    "gauge",
    "When a certificate ends that connections use or brokers showed, in seconds since 1970.",
);

/// Every metric as text.
pub fn render(status: &Status) -> String {
    let mut out = String::new();
    per_partition(&mut out, status, &RECORDS, |partition| partition.records().to_string());
    per_partition(&mut out, status, &BYTES, |partition| partition.bytes().to_string());
    per_partition(&mut out, status, &LAG, |partition| partition.lag().to_string());
    per_partition(&mut out, status, &LOST, |partition| partition.lost().to_string());
    head(&mut out, &STATE);
    for flow in &status.flows {
        for state in [PartitionState::Running, PartitionState::Retrying, PartitionState::Stopped] {
            let count = flow.partitions().iter().filter(|partition| partition.state() == state).count();
            line(&mut out, &STATE, flow, &[("state", state.name())], count);
        }
    }
    batches(&mut out, status, &BATCHES, |tally| tally.batches());
    batches(&mut out, status, &BATCH_BYTES, |tally| tally.bytes());
    head(&mut out, &RECOVERIES);
    for flow in &status.flows {
        line(&mut out, &RECOVERIES, flow, &[], flow.counters.recoveries());
    }
    head(&mut out, &DUPLICATES);
    for flow in &status.flows {
        line(&mut out, &DUPLICATES, flow, &[], flow.counters.possible_duplicates());
    }
    head(&mut out, &TRANSACTIONS);
    for flow in &status.flows {
        let counters = &flow.counters;
        for (outcome, count) in
            [("committed", counters.committed_transactions()), ("aborted", counters.aborted_transactions())]
        {
            line(&mut out, &TRANSACTIONS, flow, &[("outcome", outcome)], count);
        }
    }
    throttling(&mut out, status, &THROTTLED, |one| one.silence().as_secs_f64().to_string());
    throttling(&mut out, status, &THROTTLED_RESPONSES, |one| one.responses().to_string());
    certificates(&mut out, status);
    out
}

fn certificates(out: &mut String, status: &Status) {
    head(out, &CERTIFICATES);
    for (cluster, CertificateInfo { holder, subject, not_after }) in status.certificates() {
        let (holder, name) = (escape(&holder.to_string()), CERTIFICATES.0);
        let (cluster, subject) = (escape(&cluster), escape(&subject));
        let _ = writeln!(
            out,
            "{name}{{cluster=\"{cluster}\",holder=\"{holder}\",subject=\"{subject}\"}} {not_after}"
        );
    }
}

fn throttling(out: &mut String, status: &Status, metric: &Metric, value: impl Fn(&Throttling) -> String) {
    head(out, metric);
    for flow in &status.flows {
        for (side, name) in [(Side::Source, "source"), (Side::Target, "target")] {
            line(out, metric, flow, &[("side", name)], value(flow.throttling(side)));
        }
    }
}

fn per_partition(
    out: &mut String,
    status: &Status,
    metric: &Metric,
    value: impl Fn(&PartitionStatus) -> String,
) {
    head(out, metric);
    for flow in &status.flows {
        for partition in flow.partitions() {
            let index = partition.source.partition.to_string();
            let labels = [("topic", &*partition.source.topic), ("partition", &*index)];
            line(out, metric, flow, &labels, value(&partition));
        }
    }
}

fn batches(out: &mut String, status: &Status, metric: &Metric, value: impl Fn(&crate::status::Tally) -> u64) {
    head(out, metric);
    for flow in &status.flows {
        let counters = &flow.counters;
        line(out, metric, flow, &[("done", "forwarded"), ("reason", "")], value(&counters.forwarded));
        for reason in ReencodeReason::ALL {
            let labels = [("done", "reencoded"), ("reason", reason.name())];
            line(out, metric, flow, &labels, value(counters.reencoded(reason)));
        }
        for reason in DropReason::ALL {
            let labels = [("done", "dropped"), ("reason", reason.name())];
            line(out, metric, flow, &labels, value(counters.dropped(reason)));
        }
    }
}

fn head(out: &mut String, Metric(name, kind, help): &Metric) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(
    out: &mut String,
    Metric(name, ..): &Metric,
    flow: &FlowStatus,
    labels: &[(&str, &str)],
    value: impl std::fmt::Display,
) {
    let _ = write!(out, "{name}{{source=\"{}\",target=\"{}\"", escape(&flow.source), escape(&flow.target));
    for (label, text) in labels {
        let _ = write!(out, ",{label}=\"{}\"", escape(text));
    }
    let _ = writeln!(out, "}} {value}");
}

fn escape(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}
