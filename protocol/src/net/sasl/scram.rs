//! SCRAM (RFC 5802, RFC 7677), the client's side, as Kafka speaks it (`ScramSaslClient`): without channel binding,
//! names and passwords as their bytes (`ScramFormatter.normalize` prepares nothing), and `tokenauth=true` for
//! delegation tokens (KIP-48). Bytes in, bytes out; the nonce is the caller's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::digest::Digest;
use hmac::digest::core_api::BlockSizeUser;
use hmac::{Mac, SimpleHmac};
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

use super::{SaslError, ScramHash, Step};
use crate::secret::Secret;

/// The least work Kafka takes (`ScramMechanism.minIterations`): less would make a stolen exchange cheap to guess from.
pub(super) const MIN_ITERATIONS: u32 = 4096;
/// Six times what Kafka lets anybody set (`ScramMechanism.maxIterations`), and a tenth of a second of computing: more
/// than that no broker has a right to.
pub(super) const MAX_ITERATIONS: u32 = 100_000;

/// The header that says: no channel binding, and nobody to act for.
const HEADER: &str = "n,,";
const EXTENSIONS_OF_TOKEN: &str = ",tokenauth=true";

impl ScramHash {
    /// The name of the mechanism.
    pub fn mechanism(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }
}

/// Bytes that are wiped when they are dropped.
type Bytes = Zeroizing<Vec<u8>>;

/// One exchange.
pub(in crate::net) struct Scram {
    hash: ScramHash,
    password: Secret,
    nonce: String,
    /// The first message without its header.
    bare: String,
    state: State,
}

enum State {
    Challenged,
    Proven { server_key: Zeroizing<Vec<u8>>, transcript: String },
    Over,
}

impl Scram {
    /// Begins an exchange. The nonce is printable, without commas, and never used again.
    pub(super) fn new(
        hash: ScramHash,
        username: &str,
        password: &Secret,
        is_token: bool,
        nonce: String,
    ) -> Self {
        let name = username.replace('=', "=3D").replace(',', "=2C");
        let extensions = if is_token { EXTENSIONS_OF_TOKEN } else { "" };
        let bare = format!("n={name},r={nonce}{extensions}");
        Self { hash, password: password.clone(), nonce, bare, state: State::Challenged }
    }

    /// What to send first.
    pub(super) fn first(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(format!("{HEADER}{}", self.bare).into_bytes())
    }

    /// What to answer.
    ///
    /// # Errors
    /// [`SaslError::Challenge`], [`SaslError::Iterations`], [`SaslError::Imposter`].
    pub(super) fn next(&mut self, challenge: &[u8]) -> Result<Step, SaslError> {
        let challenge = std::str::from_utf8(challenge).map_err(|_| self.bad("a message that is no text"))?;
        match std::mem::replace(&mut self.state, State::Over) {
            State::Challenged => self.prove(challenge).map(Step::Send),
            State::Proven { server_key, transcript } => {
                self.check(challenge, &server_key, &transcript).map(|()| Step::Done)
            }
            State::Over => Err(self.bad("a message after the last")),
        }
    }

    fn prove(&mut self, challenge: &str) -> Result<Zeroizing<Vec<u8>>, SaslError> {
        let Some(server) = ServerFirst::parse(challenge) else {
            return Err(self.bad("a first message that is none"));
        };
        if !server.nonce.starts_with(&self.nonce) || server.nonce.len() == self.nonce.len() {
            return Err(self.bad("a nonce that does not continue ours"));
        }
        if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&server.iterations) {
            return Err(SaslError::Iterations {
                mechanism: self.hash.mechanism(),
                asked: server.iterations,
                least: MIN_ITERATIONS,
                most: MAX_ITERATIONS,
            });
        }
        let unproven = format!("c={},r={}", STANDARD.encode(HEADER), server.nonce);
        let transcript = format!("{},{challenge},{unproven}", self.bare);
        let password = self.password.expose().as_bytes();
        let proofs = match self.hash {
            ScramHash::Sha256 => proofs::<Sha256>(password, &server, &transcript),
            ScramHash::Sha512 => proofs::<Sha512>(password, &server, &transcript),
        };
        let Some((proof, server_key)) = proofs else { return Err(self.bad("a salt that cannot be used")) };
        self.state = State::Proven { server_key, transcript };
        Ok(Zeroizing::new(format!("{unproven},p={}", STANDARD.encode(proof.as_slice())).into_bytes()))
    }

    /// That the broker knows the password, too: compared in constant time.
    fn check(&self, challenge: &str, server_key: &[u8], transcript: &str) -> Result<(), SaslError> {
        if challenge.starts_with("e=") {
            return Err(self.bad("it ended with an error"));
        }
        let value = challenge.strip_prefix("v=").and_then(|rest| rest.split(',').next());
        let signature = value.and_then(|value| STANDARD.decode(value).ok());
        let signature = signature.ok_or_else(|| self.bad("a last message that is none"))?;
        let proven = match self.hash {
            ScramHash::Sha256 => is_signed::<Sha256>(server_key, transcript, &signature),
            ScramHash::Sha512 => is_signed::<Sha512>(server_key, transcript, &signature),
        };
        if proven { Ok(()) } else { Err(SaslError::Imposter { mechanism: self.hash.mechanism() }) }
    }

    fn bad(&self, what: &'static str) -> SaslError {
        SaslError::Challenge { mechanism: self.hash.mechanism(), what }
    }
}

/// `r=NONCE,s=SALT,i=ITERATIONS`, and extensions, which may be ignored. One that may not (`m=`) comes first, and is
/// refused with all that do not begin with a nonce.
struct ServerFirst<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'a> ServerFirst<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut fields = text.split(',');
        let nonce = fields.next()?.strip_prefix("r=")?;
        let salt = STANDARD.decode(fields.next()?.strip_prefix("s=")?).ok()?;
        let iterations = fields.next()?.strip_prefix("i=")?;
        let digits = !iterations.is_empty() && iterations.bytes().all(|byte| byte.is_ascii_digit());
        // A count beyond any number is as bad as the largest one, and refused as such.
        let iterations = digits.then(|| iterations.parse().unwrap_or(u32::MAX))?;
        (!salt.is_empty()).then_some(Self { nonce, salt, iterations })
    }
}

/// The proof of the client, and the key the broker signs with (RFC 5802, section 3).
fn proofs<D: Digest + BlockSizeUser + Clone + Sync>(
    password: &[u8],
    server: &ServerFirst<'_>,
    transcript: &str,
) -> Option<(Bytes, Bytes)> {
    let mut salted = Zeroizing::new(vec![0; <D as Digest>::output_size()]);
    pbkdf2::pbkdf2::<SimpleHmac<D>>(password, &server.salt, server.iterations, &mut salted).ok()?;
    let client_key = mac::<D>(&salted, b"Client Key")?;
    let stored_key = Zeroizing::new(D::digest(client_key.as_slice()).to_vec());
    let signature = mac::<D>(&stored_key, transcript.as_bytes())?;
    let proof = client_key.iter().zip(signature.iter()).map(|(key, sign)| key ^ sign).collect();
    Some((Zeroizing::new(proof), mac::<D>(&salted, b"Server Key")?))
}

fn mac<D: Digest + BlockSizeUser>(key: &[u8], message: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mac = <SimpleHmac<D> as Mac>::new_from_slice(key).ok()?.chain_update(message);
    Some(Zeroizing::new(mac.finalize().into_bytes().to_vec()))
}

fn is_signed<D: Digest + BlockSizeUser>(key: &[u8], message: &str, signature: &[u8]) -> bool {
    <SimpleHmac<D> as Mac>::new_from_slice(key)
        .is_ok_and(|mac| mac.chain_update(message).verify_slice(signature).is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scram(hash: ScramHash, nonce: &str) -> Scram {
        Scram::new(hash, "user", &Secret::new("pencil"), false, nonce.to_owned())
    }

    fn sent(step: Step) -> String {
        match step {
            Step::Send(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            Step::Done => panic!("nothing was sent"),
        }
    }

    /// The example of RFC 7677, section 3.
    #[test]
    fn the_example_of_the_rfc() {
        let mut scram = scram(ScramHash::Sha256, "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(scram.first().as_slice(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let last = sent(scram.next(first.as_bytes()).unwrap());
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        let done = scram.next(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
        assert!(matches!(done, Step::Done));
        assert!(scram.next(b"v=").is_err(), "it is over");
    }

    #[test]
    fn a_broker_that_does_not_know_the_password_is_found_out() {
        for hash in [ScramHash::Sha256, ScramHash::Sha512] {
            let mut scram = scram(hash, "abc");
            let _ = scram.next(b"r=abcd,s=AAAA,i=4096").unwrap();
            let error = scram.next(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap_err();
            assert!(matches!(error, SaslError::Imposter { .. }), "{error}");
        }
    }

    #[test]
    fn too_little_and_too_much_work_are_refused() {
        for asked in ["0", "1", "4095", "100001", "4294967296", "99999999999999999999999"] {
            let challenge = format!("r=abcd,s=AAAA,i={asked}");
            let error = scram(ScramHash::Sha512, "abc").next(challenge.as_bytes()).unwrap_err();
            assert!(matches!(error, SaslError::Iterations { .. }), "{asked}: {error}");
        }
    }

    #[test]
    fn names_are_escaped_and_tokens_say_what_they_are() {
        let scram = Scram::new(ScramHash::Sha256, "a=b,c", &Secret::new("p"), true, "N".into());
        assert_eq!(scram.first().as_slice(), b"n,,n=a=3Db=2Cc,r=N,tokenauth=true");
    }

    #[test]
    fn challenges_that_are_none_are_refused() {
        for challenge in [
            "",
            "r=abcd",
            "r=abcd,s=AAAA",
            "r=abcd,s=,i=4096",
            "r=abcd,s=AAAA,i=",
            "r=abcd,s=AAAA,i=-1",
            "r=abcd,s=*,i=4096",
            "m=x,r=abcd,s=AAAA,i=4096",
            "r=abc,s=AAAA,i=4096",
            "r=xabcd,s=AAAA,i=4096",
        ] {
            let error = scram(ScramHash::Sha256, "abc").next(challenge.as_bytes()).unwrap_err();
            assert!(matches!(error, SaslError::Challenge { .. }), "{challenge}: {error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_bytes_make_it_panic(
            first in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..200),
                "r=abc[a-z,=]{0,9},s=[A-Za-z0-9+/=]{0,12},i=[0-9]{0,5}.{0,5}".prop_map(String::into_bytes),
            ],
            last in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut scram = scram(ScramHash::Sha256, "abc");
            let _ = scram.next(&first);
            prop_assert!(scram.next(&last).is_err());
        }
    }
}
