//! `benches/compare`: runs kmirror and its peers over the same data in turn and prints a table with ratios.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use kmirror_benches::case::{CASES, Case, Kind};
use kmirror_benches::floor;
use kmirror_benches::peer::{PEERS, Peer, Programs};
use kmirror_benches::report::{self, Line};
use kmirror_benches::session::Session;
use kmirror_tests::artefacts::Version;

/// Measures kmirror and its peers side by side on real Kafka. Appends to benches/RESULTS.md.
#[derive(Parser)]
#[command(
    name = "benches/compare",
    after_help = "\
Examples:
  benches/compare                                        everything; takes about an hour
  benches/compare --case lz4 --runs 5 --peers kmirror,relay
  benches/compare --case far-lz4 --case far-16k --peers kmirror --kafka 4.3.0
  KMIRROR_BIN=./kmirror benches/compare --case start     a binary built elsewhere"
)]
struct Options {
    /// Case to measure; may be given several times. Default: all.
    #[arg(long = "case", value_parser = CASES.map(|case| case.name))]
    cases: Vec<String>,
    /// Alternating runs of each peer; medians are reported.
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// Who is measured, separated by commas. Default: all.
    #[arg(long, value_delimiter = ',', value_parser = PEERS.map(Peer::name))]
    peers: Vec<String>,
    /// Release of Kafka the clusters run.
    #[arg(long, default_value = "3.9.1", value_parser = ["3.9.1", "4.3.0"])]
    kafka: String,
    /// Seconds each run of the latency case counts.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Do not append to benches/RESULTS.md.
    #[arg(long)]
    dry: bool,
}

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, command, source, target, trust @ ..] = arguments.as_slice()
        && command == floor::RELAY_COMMAND
    {
        let (source, target): (SocketAddr, SocketAddr) = (source.parse()?, target.parse()?);
        let trust = trust.first().map(String::as_str);
        return floor::relay(source, target, trust).map(|()| ExitCode::SUCCESS);
    }
    compare(&Options::parse())
}

fn compare(options: &Options) -> Result<ExitCode> {
    let chosen = |name: &str, names: &[String]| names.is_empty() || names.iter().any(|n| n == name);
    let cases: Vec<Case> = CASES.into_iter().filter(|case| chosen(case.name, &options.cases)).collect();
    let wanted: Vec<Peer> = PEERS.into_iter().filter(|peer| chosen(peer.name(), &options.peers)).collect();
    let (programs, missing) = Programs::prepare(&wanted);
    let mut failed = !missing.is_empty();
    let peers: Vec<Peer> = wanted.into_iter().filter(|p| missing.iter().all(|(m, _)| m != p)).collect();
    if peers.is_empty() {
        bail!("nothing to measure: {missing:?}");
    }

    let version = Version::from_name(&options.kafka).context("no such release")?;
    let mut text = report::heading(version.name());
    for (peer, error) in &missing {
        text.push_str(&format!("{} could not be had: {error:#}\n\n", peer.name()));
    }
    show(&text);
    let mut session = Session::start(version)?;
    for case in cases {
        let (table, complete) = match case.kind {
            Kind::Latency => latency(&mut session, &peers, &programs, &case, options)?,
            Kind::Tls => {
                let able: Vec<Peer> = peers.iter().copied().filter(|peer| peer.encrypts()).collect();
                copies(&mut session, &able, &programs, &case, options.runs)?
            }
            Kind::Bulk | Kind::FarTarget | Kind::VeryFarTarget | Kind::VeryFarSource => {
                copies(&mut session, &peers, &programs, &case, options.runs)?
            }
        };
        show(&table);
        text.push_str(&table);
        text.push('\n');
        failed |= !complete;
    }
    if !options.dry {
        report::append(&text)?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn copies(
    session: &mut Session,
    peers: &[Peer],
    programs: &Programs,
    case: &Case,
    runs: u32,
) -> Result<(String, bool)> {
    let bytes = session.load(&case.data)?;
    let mut lines: Vec<Line> =
        peers.iter().map(|peer| Line { peer: *peer, runs: Vec::new(), failures: Vec::new() }).collect();
    // A run that does not count: the brokers' code is compiled while they serve their first requests.
    if let Some(first) = peers.iter().find(|peer| **peer != Peer::Relay) {
        eprintln!("{}: warming up with {}", case.name, first.name());
        session.copy(*first, programs, case).map_err(|error| eprintln!("{error:#}")).ok();
    }
    for number in 1..=runs {
        for line in &mut lines {
            eprint!("{}: run {number} of {}: ", case.name, line.peer.name());
            match session.copy(line.peer, programs, case) {
                Ok(measure) => {
                    eprintln!("{measure:.3?}");
                    line.runs.push(measure);
                }
                Err(error) => {
                    eprintln!("failed: {error:#}");
                    line.failures.push(format!("{error:#}"));
                }
            }
        }
    }
    let complete = lines.iter().all(|line| line.failures.is_empty());
    Ok((report::copies(case, bytes, &lines), complete))
}

fn latency(
    session: &mut Session,
    peers: &[Peer],
    programs: &Programs,
    case: &Case,
    options: &Options,
) -> Result<(String, bool)> {
    // MirrorMaker 1 copies to the name it reads and is no peer here; the floor knows no records.
    let able = peers.iter().copied().filter(|peer| !matches!(peer, Peer::MirrorMaker1 | Peer::Relay));
    let subjects: Vec<Option<Peer>> = able.map(Some).chain([None]).collect();
    let name = |subject: &Option<Peer>| subject.map_or("no mirror: one broker and the clients", Peer::name);
    let mut lines: Vec<_> = subjects.iter().map(|s| (name(s).to_owned(), Vec::new())).collect();
    for number in 1..=options.runs {
        for (subject, (name, results)) in subjects.iter().zip(&mut lines) {
            eprint!("{}: run {number} of {name}: ", case.name);
            let result = session.latency(*subject, programs, case, options.seconds);
            eprintln!("{result:.3?}");
            results.push(result.map_err(|error| format!("{error:#}")));
        }
    }
    let complete = lines.iter().all(|(_, results)| results.iter().all(Result::is_ok));
    Ok((report::latencies(case, &lines), complete))
}

fn show(text: &str) {
    // Who reads the table may have gone; the file still gets it.
    std::io::stdout().write_all(text.as_bytes()).ok();
}
