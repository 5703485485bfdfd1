//! The command line: what may be written, with help and examples. Knows nothing of what the commands do.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use kmirror_engine::verify::{Place, TopicPattern};

use crate::place::place;

/// Names that make kmirror take MirrorMaker 2's arguments: a link by that name replaces the script.
const MIRROR_MAKER_NAMES: [&str; 2] = ["connect-mirror-maker", "connect-mirror-maker.sh"];

const EXIT_CODES: &str = "\
Exit codes:
  0    done: stopped by a signal, or everything mirrored with --until-synced
  1    verify found a difference
  2    the command line or the configuration is wrong
  3    no cluster could be reached, or nothing could be started
  4    refused: source and target are one cluster, or the flows form a loop
  5    --until-synced ended with something left out, the demonstration's copy differs, translate --apply set nothing, or
       check found that rights are missing
  130  a second signal stopped at once, or a signal ended --until-synced early";

const EXAMPLES: &str = "\
Examples:
  kmirror demo                                  see it work, without any Kafka
  kmirror plan mm2.properties                   what would be mirrored, and why
  kmirror check mm2.properties                  can each broker be reached, is any right missing
  kmirror run mm2.properties                    mirror until stopped
  kmirror run mm2.properties --until-synced     mirror what is there now, then end
  kmirror verify mm2.properties                 compare what both sides hold, record by record
  kmirror status mm2.properties                 which processes mirror what, and how far that is
  kmirror groups mm2.properties                 where consumer groups stand on both sides";

/// Mirrors Kafka clusters: batches as they are, MirrorMaker 2's configuration files, one binary.
#[derive(Debug, Parser)]
#[command(name = "kmirror", version = env!("KMIRROR_VERSION"), max_term_width = 100)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) log: LogArguments,
    /// Let a crash write a core file, and debuggers attach: both show passwords
    #[arg(long, global = true)]
    pub(crate) core_files: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How the log is written.
#[derive(Debug, Args)]
pub(crate) struct LogArguments {
    /// What to log: a level (error, warn, info, debug, trace), and levels of modules behind commas
    ///
    /// Modules are those of the engine and the protocol, for instance `info,engine::flow=debug,protocol=warn`.
    #[arg(long, value_name = "LEVELS", global = true, default_value = "info")]
    pub(crate) log: String,
    /// How to write log lines, to standard error
    #[arg(long, value_name = "FORMAT", global = true, default_value = "text")]
    pub(crate) log_format: LogFormat,
}

/// The forms of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Mirrors what a MirrorMaker 2 properties file says
    #[command(after_help = "\
Examples:
  kmirror run mm2.properties
  kmirror run mm2.properties --clusters west                   only the flows that write to west
  kmirror run mm2.properties --until-synced                    a migration: ends once everything is there
  kmirror run mm2.properties --log-format json --log warn,engine=info

SIGTERM and Ctrl-C stop it: what is under way is finished and progress is written. A second one stops at once.
A link named connect-mirror-maker.sh takes MirrorMaker 2's arguments: connect-mirror-maker.sh mm2.properties")]
    Run {
        #[command(flatten)]
        file: FileArguments,
        /// End once every partition reached the end it had at start, and tell what was done
        #[arg(long)]
        until_synced: bool,
    },
    /// Says what would be mirrored as what, what would not and why; writes nothing
    #[command(after_help = "\
Examples:
  kmirror plan mm2.properties
  kmirror plan mm2.properties --offline          only what the file alone can show; connects to nothing
  kmirror plan mm2.properties --json | jq '.flows[].topics[] | select(.mirrored | not)'

Ends with 0 when there are warnings at most, with 3 when a cluster could not be asked, otherwise as `kmirror run` would.")]
    Plan {
        #[command(flatten)]
        file: FileArguments,
        /// Connect to nothing
        #[arg(long)]
        offline: bool,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Connects to every broker as configured, step by step, and tells which rights are missing; writes nothing
    #[command(after_help = "\
Examples:
  kmirror check mm2.properties
  kmirror check mm2.properties --json | jq '.flows[].rights.missing[]'

The steps are: name, connect, proxy, TLS, Kafka (the versions of its APIs), SASL. Of each missing right the command that
gives it is told.
Ends with 0 when nothing is missing, 3 when a broker cannot be reached, 5 when rights are missing.")]
    Check {
        #[command(flatten)]
        file: FileArguments,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Compares what source and target hold, while mirroring goes on or after it; writes nothing
    #[command(after_help = "\
Examples:
  kmirror verify mm2.properties
  kmirror verify mm2.properties --flow east->west --topics 'orders.*'
  kmirror verify mm2.properties --sample 0.05                      a twentieth of each partition
  kmirror verify mm2.properties --from 2026-01-31T12:00:00Z --to 2026-02-01
  kmirror verify mm2.properties --json | jq '.flows[].partitions[] | select(.findings != [])'

Every record that the flow's progress says is mirrored must be at the target once, in order, with its key, value,
headers and timestamp. Differences are named with topic-partition@offset of both sides. Records that retention removed
at one side are told as expired, which is no difference.
Ends with 0 when nothing differs, 1 when something does, 3 when something could not be compared.")]
    Verify {
        #[command(flatten)]
        file: FileArguments,
        #[command(flatten)]
        what: Box<VerifyArguments>,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Tells which processes mirror what, and how far that is; asks the clusters, so that it works from any host
    #[command(after_help = "\
Examples:
  kmirror status mm2.properties
  kmirror status mm2.properties --flow east->west --partitions
  kmirror status mm2.properties --json | jq '.flows[].members[] | {host, partitions, bytes_per_second}'

Progress is what the processes wrote down last, seconds ago, so that LAG is the most it can be. Works when
nothing runs, and writes nothing.
Ends with 0, or with 3 when a flow's clusters could not be asked.")]
    Status {
        #[command(flatten)]
        file: FileArguments,
        /// Only this flow; all that are enabled when not given
        #[arg(long, value_name = "A->B")]
        flow: Option<String>,
        /// Tell each partition, not only each topic
        #[arg(long)]
        partitions: bool,
        /// Write JSON, each partition included
        #[arg(long)]
        json: bool,
    },
    /// Tells where consumer groups stand on both sides, and what they would read again if they moved over now
    #[command(after_help = "\
Examples:
  kmirror groups mm2.properties
  kmirror groups mm2.properties --flow east->west
  kmirror groups mm2.properties --json | jq '.flows[].groups[].positions[] | select(.read_again != 0)'

READ AGAIN counts from where the group stands at the target, or from the first record there if it stands nowhere; it is
negative for records that would be left out. What is known of offsets is at most five seconds old. Writes nothing.
Ends with 0, or with 3 when a flow's clusters could not be asked.")]
    Groups {
        #[command(flatten)]
        file: FileArguments,
        /// Only this flow; all that are enabled when not given
        #[arg(long, value_name = "A->B")]
        flow: Option<String>,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Translates the positions of one consumer group to the target, and sets them there if asked
    #[command(after_help = "\
Examples:
  kmirror translate mm2.properties --flow east->west --group billing
  kmirror translate mm2.properties --flow east->west --group billing --apply

Only a group that nobody is in at the target is set, and it never goes backwards unless the file says
kmirror.sync.group.offsets.backwards=true. A position that is not known is told with the reason and left alone.
Ends with 0, with 3 when the clusters could not be asked or the group is not there, with 5 when --apply did not set it.")]
    Translate {
        #[command(flatten)]
        file: FileArguments,
        /// The flow
        #[arg(long, value_name = "A->B")]
        flow: String,
        /// The group, whatever the options groups and groups.exclude say
        #[arg(long)]
        group: String,
        /// Set the group at the target
        #[arg(long)]
        apply: bool,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Shows the checkpoints of consumer groups that the file's flows have at their targets
    #[command(after_help = "\
Examples:
  kmirror checkpoints mm2.properties
  kmirror checkpoints mm2.properties --flow east->west --json | jq -r '.record.consumerGroupId'

Each record is written as MirrorMaker 2's CheckpointFormatter writes it, oldest first; the last one of a group and a
partition counts.")]
    Checkpoints(InternalArguments),
    /// Shows the heartbeats at the clusters that the file has heartbeats for
    #[command(after_help = "\
Examples:
  kmirror heartbeats mm2.properties | tail -n 1
  kmirror heartbeats mm2.properties --flow east->west --json

Each record is written as MirrorMaker 2's HeartbeatFormatter writes it, oldest first. Times are milliseconds since the
epoch.")]
    Heartbeats(InternalArguments),
    /// Shows the offset syncs of the file's flows: which source offset became which target offset
    #[command(after_help = "\
Examples:
  kmirror offset-syncs mm2.properties
  kmirror offset-syncs mm2.properties --json | jq 'select(.record.topic == \"orders\")'

Each record is written as MirrorMaker 2's OffsetSyncFormatter writes it, oldest first. They are read where
offset-syncs.topic.location says.")]
    OffsetSyncs(InternalArguments),
    /// Moves over to a flow's target: mirrors the rest, sets the groups there, prepares the way back
    #[command(after_help = "\
Examples:
  kmirror failover mm2.properties --flow east->west --dry-run      what is missing, what would be done
  kmirror failover mm2.properties --flow east->west

Stop the mirror first. If the source answers, what is missing is mirrored and every group that nobody is in at the target is
set to where it stands at the source; if it does not, the report says what is known. The flow in the other direction gets
its progress and offset map, so that it copies nothing back that came from there. docs/failover.md has the steps.
Ends with 0, with 5 when something is missing or could not be done, with 2 when it could not begin.")]
    Failover(FailoverArguments),
    /// Moves back to a flow's source, after a failover: brings there what the target got meanwhile
    #[command(after_help = "\
Examples:
  kmirror failback mm2.properties --flow east->west --dry-run
  kmirror failback mm2.properties --flow east->west

Runs the flow in the other direction until everything is at the source, sets the groups there, and prepares the flow
itself to go on behind that. Ends as kmirror failover does.")]
    Failback(FailoverArguments),
    /// Two clusters in this process, a mirror between them, and a comparison record by record
    #[command(after_help = "\
Example:
  kmirror demo

Needs nothing but this binary, takes less than 20 seconds, and ends with 0 when both sides are the same.")]
    Demo,
    /// Writes completions for a shell
    #[command(after_help = "\
Examples:
  kmirror completions bash > /etc/bash_completion.d/kmirror
  kmirror completions zsh > ~/.zfunc/_kmirror")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Writes a manual page
    #[command(after_help = "\
Examples:
  kmirror man | man -l -
  kmirror man run > kmirror-run.1")]
    Man {
        /// The command it is about; none for kmirror as a whole
        command: Option<String>,
    },
}

/// A file, and what is said beside it.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FileArguments {
    /// The properties file, as connect-mirror-maker.sh takes it
    pub(crate) file: PathBuf,
    /// The clusters to write to, by their aliases; all when not given
    #[arg(long, value_name = "ALIAS", num_args = 1..)]
    pub(crate) clusters: Option<Vec<String>>,
    /// Source and target may be one cluster, and flows may form loops
    #[arg(long)]
    pub(crate) allow_same_cluster: bool,
    /// A JAAS file, whose section KafkaClient has the login of clusters without sasl.jaas.config
    ///
    /// Without it -Djava.security.auth.login.config in KAFKA_OPTS counts.
    #[arg(long, value_name = "FILE")]
    pub(crate) jaas: Option<PathBuf>,
    /// The Kerberos configuration
    ///
    /// Without it -Djava.security.krb5.conf in KAFKA_OPTS counts, then KRB5_CONFIG, then /etc/krb5.conf.
    #[arg(long, value_name = "FILE")]
    pub(crate) krb5_conf: Option<PathBuf>,
}

/// Which of MirrorMaker 2's small topics to show, and how.
#[derive(Debug, Args)]
pub(crate) struct InternalArguments {
    #[command(flatten)]
    pub(crate) file: FileArguments,
    /// Only this flow; all that are enabled when not given
    #[arg(long, value_name = "A->B")]
    pub(crate) flow: Option<String>,
    /// Write a JSON object a line, with the record's place and time
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to move over.
#[derive(Debug, Args)]
pub(crate) struct FailoverArguments {
    #[command(flatten)]
    pub(crate) file: FileArguments,
    /// The flow, enabled or not
    #[arg(long, value_name = "A->B")]
    pub(crate) flow: String,
    /// Only tell what is missing and what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Even if a mirror of the flow seems to be running
    #[arg(long)]
    pub(crate) anyway: bool,
    /// Write JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to compare.
#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// Only this flow; all that are enabled when not given
    #[arg(long, value_name = "A->B")]
    pub(crate) flow: Option<String>,
    /// Only source topics that match, written as the option `topics`
    #[arg(long, value_name = "REGEX", value_parser = TopicPattern::new)]
    pub(crate) topics: Option<TopicPattern>,
    /// Only this share of each partition, above 0 and at most 1
    ///
    /// Stretches of 10,000 source offsets are chosen at random, anew in every run. Each is compared whole, and aligned
    /// with the target by the contents of its records.
    #[arg(long, value_name = "RATE", default_value = "1", value_parser = rate)]
    pub(crate) sample: f64,
    /// Where to begin at the source: an offset, a time like 2026-01-31T12:00:00Z, or @milliseconds
    #[arg(long, value_name = "OFFSET|TIMESTAMP", value_parser = place)]
    pub(crate) from: Option<Place>,
    /// Where to end at the source, exclusive; written as --from
    #[arg(long, value_name = "OFFSET|TIMESTAMP", value_parser = place)]
    pub(crate) to: Option<Place>,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| *rate > 0.0 && *rate <= 1.0);
    rate.ok_or_else(|| "write a number above 0 and at most 1".to_owned())
}

impl Arguments {
    /// Reads the arguments, in MirrorMaker 2's form when the program was started under its name.
    ///
    /// # Errors
    /// Arguments that are wrong, and requests for help, which are no errors.
    pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut arguments: Vec<OsString> = arguments.into_iter().collect();
        if arguments.first().is_some_and(is_mirror_maker) {
            if arguments.iter().any(|argument| argument == "-daemon") {
                let text =
                    "-daemon is not supported: a service manager, or `&`, keeps it in the background\n";
                return Err(Self::command().error(clap::error::ErrorKind::UnknownArgument, text));
            }
            arguments.insert(1, OsString::from("run"));
        }
        Self::try_parse_from(arguments)
    }
}

fn is_mirror_maker(program: &OsString) -> bool {
    let name = Path::new(program).file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| MIRROR_MAKER_NAMES.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Arguments, clap::Error> {
        Arguments::read(arguments.iter().map(OsString::from))
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_run() {
        let arguments = read(&["kmirror", "run", "f", "--clusters", "a", "b", "--until-synced"]).unwrap();
        let Command::Run { file, until_synced } = arguments.command else { panic!("{arguments:?}") };
        assert_eq!(file.clusters.unwrap(), ["a", "b"]);
        assert!(until_synced && !file.allow_same_cluster);
    }

    #[test]
    fn a_verification() {
        let arguments =
            ["kmirror", "verify", "f", "--flow", "a->b", "--topics", "x.*", "--sample", "0.5", "--from", "7"];
        let Command::Verify { what, json, .. } = read(&arguments).unwrap().command else { panic!("verify") };
        assert_eq!((what.flow.as_deref(), what.sample, json), (Some("a->b"), 0.5, false));
        assert_eq!((what.from, what.to), (Some(Place::Offset(7)), None));
        for wrong in [["--sample", "0"], ["--sample", "1.1"], ["--topics", "("], ["--to", "soon"]] {
            assert!(read(&[&["kmirror", "verify", "f"], &wrong[..]].concat()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn under_mirror_makers_name() {
        for name in ["connect-mirror-maker", "/opt/kafka/bin/connect-mirror-maker.sh"] {
            let arguments = read(&[name, "mm2.properties", "--clusters", "a"]).unwrap();
            let Command::Run { file, .. } = arguments.command else { panic!("{arguments:?}") };
            assert_eq!(file.file, PathBuf::from("mm2.properties"));
            assert_eq!(file.clusters.unwrap(), ["a"]);
        }
        assert!(read(&["connect-mirror-maker.sh", "-daemon", "f"]).is_err());
    }

    #[test]
    fn every_command_has_examples() {
        for command in Arguments::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{}", command.get_name());
        }
    }
}
