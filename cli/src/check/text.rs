//! The report for people.

use std::io::Write;

use kmirror_engine::check::{BrokerReport, End, Need, RightsReport};
use kmirror_protocol::client::admin::AclOperation;
use kmirror_protocol::net::tls::Moment;

use super::{Outcome, Report, steps};

/// Writes the report.
///
/// # Errors
/// When `out` cannot be written to.
pub(super) fn write(report: &Report, out: &mut impl Write) -> anyhow::Result<()> {
    for (way, found) in &report.ways {
        writeln!(out, "cluster {}: {}", way.alias, way.described())?;
        writeln!(out, "  for {}", way.clients.join(", "))?;
        let stages = way.stages();
        for broker in &found.brokers {
            writeln!(out, "  {}", named(broker))?;
            for step in steps(&broker.outcome, &stages) {
                match step.outcome {
                    Outcome::Passed(details) => {
                        writeln!(out, "{}", format!("    ok        {:<8} {details}", step.name).trim_end())?
                    }
                    Outcome::Failed(why) => writeln!(out, "    FAILED    {:<8} {why}", step.name)?,
                    Outcome::NotTried => writeln!(out, "    not tried {}", step.name)?,
                }
            }
            let chain =
                broker.outcome.iter().filter_map(|facts| facts.tls.as_ref()).flat_map(|tls| &tls.chain);
            for link in chain {
                writeln!(out, "              {} until {}", link.subject, link.not_after)?;
            }
        }
        for certificate in found.certificates.iter().filter(|one| one.is_ours()) {
            let (subject, until) = (&certificate.subject, Moment(certificate.not_after));
            writeln!(out, "  {}: {subject} until {until}", certificate.holder)?;
        }
        writeln!(out)?;
    }
    for flow in &report.flows {
        let topics = flow.rights.as_ref().map_or(0, |rights| rights.topics);
        write_rights(&format!("flow {}", flow.name), &format!("{topics} topics"), &flow.rights, out)?;
    }
    for beat in &report.heartbeats {
        write_rights(&format!("heartbeats {}", beat.name), "no flow", &beat.rights, out)?;
    }
    Ok(())
}

fn named(broker: &BrokerReport) -> String {
    match broker.node {
        Some(node) => format!("broker {node} at {}", broker.address),
        None => format!("bootstrap server {}", broker.address),
    }
}

fn write_rights(
    whose: &str,
    about: &str,
    rights: &Result<RightsReport, String>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let rights = match rights {
        Ok(rights) => rights,
        Err(why) => {
            writeln!(out, "{whose}: {why}")?;
            return Ok(());
        }
    };
    writeln!(out, "{whose}: {about}")?;
    for need in &rights.missing {
        let weight = if need.essential { "MISSING" } else { "missing" };
        writeln!(
            out,
            "  {weight}  {} on {} of {}: {}",
            need.operation,
            need.on,
            side(need.end),
            need.purpose
        )?;
        writeln!(out, "           {}", command(need))?;
    }
    for (end, topic, fault) in &rights.refused {
        writeln!(out, "  MISSING  topic {topic} cannot be created at {}: {fault}", side(*end))?;
    }
    if rights.is_complete() {
        writeln!(out, "  every right is there{}", untold(rights))?;
    } else if !rights.untold.is_empty() {
        writeln!(out, " {}", untold(rights))?;
    }
    Ok(())
}

fn untold(rights: &RightsReport) -> String {
    match rights.untold.len() {
        0 => String::new(),
        count => format!(
            " ({count} that brokers do not tell of: topics that are not there yet, or brokers before 2.8)"
        ),
    }
}

fn side(end: End) -> &'static str {
    match end {
        End::Source => "the source",
        End::Target => "the target",
    }
}

/// What gives the right, with Kafka's own tool.
fn command(need: &Need) -> String {
    format!(
        "kafka-acls.sh --bootstrap-server ... --add --allow-principal User:... --operation {} {}",
        camel(need.operation),
        need.on.as_argument()
    )
}

/// `DESCRIBE_CONFIGS` as the tool spells it.
fn camel(operation: AclOperation) -> String {
    let word = |word: &str| match word.split_at_checked(1) {
        Some((first, rest)) => first.to_owned() + &rest.to_ascii_lowercase(),
        None => String::new(),
    };
    operation.name().split('_').map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_spelt_as_the_tool_does() {
        assert_eq!(camel(AclOperation::Read), "Read");
        assert_eq!(camel(AclOperation::DescribeConfigs), "DescribeConfigs");
    }
}
