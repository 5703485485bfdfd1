//! Scripting: what a test tells a broker to do instead of answering honestly. The rules only; `api::dispatch` obeys.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::Request;

/// A request as a script sees it.
#[derive(Debug, Clone)]
pub struct RequestInfo {
    /// The broker that was asked.
    pub broker: i32,
    /// What was asked.
    pub api: ApiKey,
    /// The request's version.
    pub version: i16,
    /// The client's name for itself.
    pub client_id: Option<String>,
    /// The request behind its header, not decoded.
    pub body: Bytes,
    /// How many requests of this API the cluster has had before.
    pub earlier: u64,
}

impl RequestInfo {
    /// The request as a message; `None` when it is of another API or cannot be read.
    #[must_use]
    pub fn decode<R: Request>(&self) -> Option<R> {
        let mut body = self.body.clone();
        if R::KEY == self.api as i16 { R::decode(&mut body, self.version).ok() } else { None }
    }
}

/// What is to be done with a request.
pub enum Verdict {
    /// What a broker does.
    Default,
    /// Nothing is done, and all parts of the answer have this error code.
    AnswerError(i16),
    /// What a broker does, after this time.
    Stall(Duration),
    /// The connection is closed without an answer, and nothing is done.
    CutLink,
    /// What was asked is done, and the connection is closed without an answer.
    LoseAnswer,
    /// These bytes are sent as they are, without a length or header; nothing is done.
    Raw(Bytes),
    /// A well-framed answer to this request with these bytes behind the header; nothing is done.
    Body(Bytes),
    /// What a broker does, but the answer's body goes through this first.
    Edit(Box<dyn FnOnce(Vec<u8>) -> Vec<u8> + Send>),
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("Default"),
            Self::AnswerError(code) => write!(f, "AnswerError({code})"),
            Self::Stall(duration) => write!(f, "Stall({duration:?})"),
            Self::CutLink => f.write_str("CutLink"),
            Self::LoseAnswer => f.write_str("LoseAnswer"),
            Self::Raw(bytes) => write!(f, "Raw({} bytes)", bytes.len()),
            Self::Body(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Self::Edit(_) => f.write_str("Edit"),
        }
    }
}

/// Names an installed script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlId(u64);

type Script = Box<dyn FnMut(&RequestInfo) -> Verdict + Send>;

/// The scripts of a cluster, oldest first.
#[derive(Default)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
    last_id: u64,
}

struct Rule {
    id: u64,
    api: ApiKey,
    once: bool,
    script: Script,
}

impl Rules {
    /// Installs a script for an API. With `once` it goes after its first verdict that is not the default.
    pub(crate) fn add(&mut self, api: ApiKey, once: bool, script: Script) -> ControlId {
        self.last_id += 1;
        self.rules.push(Rule { id: self.last_id, api, once, script });
        ControlId(self.last_id)
    }

    pub(crate) fn remove(&mut self, id: ControlId) {
        self.rules.retain(|rule| rule.id != id.0);
    }

    /// Whether any script wants to see requests of `api`.
    pub(crate) fn watches(&self, api: ApiKey) -> bool {
        self.rules.iter().any(|rule| rule.api == api)
    }

    /// The first verdict that is not the default.
    pub(crate) fn judge(&mut self, request: &RequestInfo) -> Verdict {
        for index in 0..self.rules.len() {
            let rule = &mut self.rules[index];
            if rule.api != request.api {
                continue;
            }
            let verdict = (rule.script)(request);
            if matches!(verdict, Verdict::Default) {
                continue;
            }
            if rule.once {
                self.rules.remove(index);
            }
            return verdict;
        }
        Verdict::Default
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(api: ApiKey, broker: i32) -> RequestInfo {
        RequestInfo { broker, api, version: 0, client_id: None, body: Bytes::new(), earlier: 0 }
    }

    #[test]
    fn a_script_for_once_stays_until_it_acts() {
        let mut rules = Rules::default();
        rules.add(
            ApiKey::Fetch,
            true,
            Box::new(|request| match request.broker {
                2 => Verdict::CutLink,
                _ => Verdict::Default,
            }),
        );
        let always = rules.add(ApiKey::Fetch, false, Box::new(|_| Verdict::AnswerError(5)));
        assert!(matches!(rules.judge(&request(ApiKey::Produce, 2)), Verdict::Default));
        assert!(matches!(rules.judge(&request(ApiKey::Fetch, 1)), Verdict::AnswerError(5)));
        assert!(matches!(rules.judge(&request(ApiKey::Fetch, 2)), Verdict::CutLink));
        assert!(matches!(rules.judge(&request(ApiKey::Fetch, 2)), Verdict::AnswerError(5)));
        rules.remove(always);
        assert!(!rules.watches(ApiKey::Fetch));
    }
}
