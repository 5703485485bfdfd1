//! Carries out one fault and heals it: brokers, links, topics. Decides nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::artefacts::Version;
use crate::clock;
use crate::faults::plan::{BROKERS, BrokerFault, CLOCK_OFF, DISK_BROKER, Fault, LinkFault, Side};
use crate::faults::world::{Means, NUMBERED, TRANSACTIONS};
use crate::java::java_source;
use crate::kafka::KafkaCluster;
use crate::oracle;
use crate::passwords::Passwords;
use crate::process::{Signal, run};
use crate::proxy::{Link, Proxy};

/// How long a cluster in trouble may refuse to change a password.
const CHANGED_WITHIN: Duration = Duration::from_secs(180);

/// What became of a fault.
pub enum Outcome {
    /// It is so.
    Done,
    /// It could not be; why.
    Skipped(String),
}

/// Somebody who has faults and gets over them. Errors are troubles of the test itself, which end the run.
pub trait Patient {
    /// Brings the fault about.
    fn inject(&mut self, fault: Fault) -> Result<Outcome>;

    /// Heals it.
    fn heal(&mut self, fault: Fault) -> Result<()>;

    /// Looks after what runs, every now and then.
    fn tend(&mut self) -> Result<()> {
        Ok(())
    }
}

impl<P: Patient> Patient for &mut P {
    fn inject(&mut self, fault: Fault) -> Result<Outcome> {
        (**self).inject(fault)
    }

    fn heal(&mut self, fault: Fault) -> Result<()> {
        (**self).heal(fault)
    }

    fn tend(&mut self) -> Result<()> {
        (**self).tend()
    }
}

/// The brokers of a cluster.
pub struct Brokers<'a> {
    /// Which.
    pub cluster: &'a mut KafkaCluster,
    /// What can be done to them.
    pub means: &'a Means,
}

impl Patient for Brokers<'_> {
    fn inject(&mut self, fault: Fault) -> Result<Outcome> {
        let Fault::Broker(_, broker, fault) = fault else { return not_mine(fault) };
        match fault {
            BrokerFault::Killed => self.cluster.kill_broker(broker)?,
            BrokerFault::Stopped => self.cluster.stop_broker(broker)?,
            BrokerFault::Paused => self.cluster.signal_broker(broker, Signal::STOP)?,
            BrokerFault::DiskFull if !self.means.disks => {
                return Ok(Outcome::Skipped("only root may mount a disk".to_owned()));
            }
            BrokerFault::DiskFull => self.cluster.disk(DISK_BROKER)?.fill()?,
            BrokerFault::ClockOff { ahead } => {
                let Some(library) = &self.means.clocks else {
                    return Ok(Outcome::Skipped("libfaketime is not there".to_owned()));
                };
                let seconds = if ahead { CLOCK_OFF } else { -CLOCK_OFF };
                self.cluster.stop_broker(broker)?;
                self.cluster.set_environment(broker, &clock::ahead(library, seconds))?;
                self.cluster.start_broker(broker)?;
            }
        }
        Ok(Outcome::Done)
    }

    fn heal(&mut self, fault: Fault) -> Result<()> {
        let Fault::Broker(_, broker, fault) = fault else { return Ok(()) };
        match fault {
            BrokerFault::Killed | BrokerFault::Stopped => self.cluster.start_broker(broker),
            BrokerFault::Paused => self.cluster.signal_broker(broker, Signal::CONT),
            BrokerFault::DiskFull => {
                // A broker does not come back to a disk that failed before it is restarted.
                self.cluster.disk(DISK_BROKER)?.free()?;
                self.cluster.stop_broker(broker)?;
                self.cluster.start_broker(broker)
            }
            BrokerFault::ClockOff { .. } => {
                self.cluster.stop_broker(broker)?;
                self.cluster.set_environment(broker, &[])?;
                self.cluster.start_broker(broker)
            }
        }
    }
}

/// Starts whichever brokers ended by themselves, so that what is judged is not a cluster without majority; names them.
pub fn revive(cluster: &mut KafkaCluster) -> Result<Vec<i32>> {
    let mut ended = Vec::new();
    for broker in 1..=BROKERS {
        if cluster.broker(broker).map_or(true, |process| process.exited().is_some()) {
            cluster.start_broker(broker)?;
            ended.push(broker);
        }
    }
    Ok(ended)
}

/// From the change at the brokers until kmirror is told, whoever connects or has to authenticate again is refused.
impl Patient for Passwords {
    fn inject(&mut self, _: Fault) -> Result<Outcome> {
        self.choose();
        // A cluster in trouble may have done it or not when it says no: it is done again before anybody is told.
        self.change().ok();
        Ok(Outcome::Done)
    }

    fn heal(&mut self, _: Fault) -> Result<()> {
        let begun = Instant::now();
        while let Err(error) = self.change() {
            if begun.elapsed() > CHANGED_WITHIN {
                return Err(error.context("the password cannot be changed"));
            }
        }
        self.hand_out()
    }
}

/// The links to a cluster.
pub struct Links<'a>(pub &'a BTreeMap<i32, Proxy>);

impl Links<'_> {
    fn each(&self, broker: Option<i32>, change: impl Fn(&Proxy)) {
        self.0
            .iter()
            .filter(|(number, _)| broker.is_none_or(|broker| broker == **number))
            .for_each(|(_, link)| change(link));
    }
}

impl Patient for Links<'_> {
    fn inject(&mut self, fault: Fault) -> Result<Outcome> {
        let Fault::Link(_, broker, fault) = fault else { return not_mine(fault) };
        let usual = Link::default();
        self.each(broker, |proxy| match fault {
            LinkFault::Cut => proxy.set(Link { cut: true, ..usual }),
            LinkFault::Reset => proxy.close_all(),
            LinkFault::Delayed(millis) => proxy.set(Link { delay: Duration::from_millis(millis), ..usual }),
            LinkFault::Throttled(bytes) => proxy.set(Link { bytes_per_second: Some(bytes), ..usual }),
            LinkFault::Held => proxy.set(Link { hold: true, ..usual }),
            LinkFault::HeldOneWay(way) => proxy.hold_one_way(way),
            LinkFault::HalfClosed(way) => proxy.half_close(way),
        });
        Ok(Outcome::Done)
    }

    fn heal(&mut self, fault: Fault) -> Result<()> {
        if let Fault::Link(_, broker, _) = fault {
            self.each(broker, |proxy| proxy.set(Link::default()));
        }
        Ok(())
    }
}

/// The topics of the load. What a cluster in trouble refuses is left out: it would be refused an operator, too.
pub struct Topics<'a> {
    /// Addresses of the source.
    pub source: &'a str,
    /// Addresses of the target.
    pub target: &'a str,
}

impl Patient for Topics<'_> {
    fn inject(&mut self, fault: Fault) -> Result<Outcome> {
        let done = match fault {
            Fault::LeadersMove(Side::Source) => move_leaders(self.source),
            Fault::LeadersMove(Side::Target) => move_leaders(self.target),
            Fault::PartitionAdded => add_partition(self.source),
            other => return not_mine(other),
        };
        Ok(match done {
            Ok(()) => Outcome::Done,
            Err(error) => {
                Outcome::Skipped(format!("{error:#}").lines().last().unwrap_or_default().to_owned())
            }
        })
    }

    fn heal(&mut self, _: Fault) -> Result<()> {
        Ok(())
    }
}

/// Another replica of each partition becomes the preferred one and leads.
fn move_leaders(bootstrap: &str) -> Result<()> {
    let mut java = java_source(Version::V4_3_0, "Leaders.java", &[bootstrap, NUMBERED, TRANSACTIONS])?;
    java.env("JDK_JAVA_OPTIONS", "-Xmx96m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC");
    run(&mut java).map(drop)
}

fn add_partition(bootstrap: &str) -> Result<()> {
    let topics = oracle::topics(bootstrap)?;
    let count = topics.get(NUMBERED).with_context(|| format!("{NUMBERED} is not there"))?;
    oracle::add_partitions(bootstrap, NUMBERED, i32::try_from(count + 1)?)
}

fn not_mine(fault: Fault) -> Result<Outcome> {
    Ok(Outcome::Skipped(format!("{fault} is in a lane of others")))
}
