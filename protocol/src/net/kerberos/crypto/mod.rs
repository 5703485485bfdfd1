//! Encryption types of Kerberos: AES with SHA-1 (RFC 3961, RFC 3962) and with SHA-2 (RFC 8009). Pure.
//!
//! DES and RC4 are broken and are not here. Keys are wiped when dropped and shown to nobody.

mod cts;
mod mac;
mod nfold;
mod sha1;
mod sha2;

use std::fmt;

use zeroize::Zeroizing;

/// Bytes of a block of AES, and of the random block that leads every plain text.
const BLOCK: usize = 16;
/// Rounds of PBKDF2 beyond which a KDC is not believed: about a second of work.
pub(super) const MAX_ITERATIONS: u32 = 1_000_000;
/// Rounds that each type has at least by itself (RFC 3962, RFC 8009). Whoever answers in the KDC's place could ask for fewer,
/// and then try passwords on what comes back.
pub(super) const MIN_ITERATIONS: u32 = 4096;

/// What a key is used for (RFC 4120, 7.5.1; RFC 4121, 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    PreauthTimestamp = 1,
    #[cfg(test)]
    OfTestVectors = 2,
    AsReply = 3,
    TgsRequestChecksum = 6,
    TgsAuthenticator = 7,
    TgsReply = 8,
    ApAuthenticator = 11,
    ApReply = 12,
    AcceptorSeal = 22,
    InitiatorSeal = 24,
}

/// An encryption type we speak. The numbers are IANA's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Etype {
    /// `aes128-cts-hmac-sha1-96`
    Aes128Sha1 = 17,
    /// `aes256-cts-hmac-sha1-96`
    Aes256Sha1 = 18,
    /// `aes128-cts-hmac-sha256-128`
    Aes128Sha2 = 19,
    /// `aes256-cts-hmac-sha384-192`
    Aes256Sha2 = 20,
}

impl Etype {
    /// All, in the order MIT and Java ask for them.
    pub(super) const ALL: [Self; 4] =
        [Self::Aes256Sha1, Self::Aes128Sha1, Self::Aes256Sha2, Self::Aes128Sha2];

    /// The type of that number, if we speak it.
    pub(super) fn of(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|etype| etype.number() == number)
    }

    pub(super) fn number(self) -> i32 {
        match self {
            Self::Aes128Sha1 => 17,
            Self::Aes256Sha1 => 18,
            Self::Aes128Sha2 => 19,
            Self::Aes256Sha2 => 20,
        }
    }

    /// The name in full, as `klist -e` shows it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Aes128Sha1 => "aes128-cts-hmac-sha1-96",
            Self::Aes256Sha1 => "aes256-cts-hmac-sha1-96",
            Self::Aes128Sha2 => "aes128-cts-hmac-sha256-128",
            Self::Aes256Sha2 => "aes256-cts-hmac-sha384-192",
        }
    }

    /// The number of the checksum that goes with it.
    pub(super) fn checksum_type(self) -> i32 {
        match self {
            Self::Aes128Sha1 => 15,
            Self::Aes256Sha1 => 16,
            Self::Aes128Sha2 => 19,
            Self::Aes256Sha2 => 20,
        }
    }

    pub(super) fn key_bytes(self) -> usize {
        match self {
            Self::Aes128Sha1 | Self::Aes128Sha2 => 16,
            Self::Aes256Sha1 | Self::Aes256Sha2 => 32,
        }
    }

    pub(super) fn mac_bytes(self) -> usize {
        match self {
            Self::Aes128Sha1 | Self::Aes256Sha1 => 12,
            Self::Aes128Sha2 => 16,
            Self::Aes256Sha2 => 24,
        }
    }
}

impl fmt::Display for Etype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of an encryption type, also of one we do not speak.
pub(super) fn name_of(number: i32) -> String {
    let foreign = match number {
        1..=3 => "single DES",
        16 => "des3-cbc-sha1",
        23 => "arcfour-hmac (RC4)",
        25 => "camellia128-cts-cmac",
        26 => "camellia256-cts-cmac",
        _ => "unknown",
    };
    Etype::of(number).map_or_else(|| format!("{foreign} ({number})"), |etype| etype.name().to_owned())
}

/// Why something cannot be encrypted, decrypted or believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// A key of the wrong length.
    #[error("a key of {bytes} bytes does not belong to {etype}")]
    KeyLength {
        /// Of the key.
        bytes: usize,
        /// What it should be for.
        etype: Etype,
    },
    /// Less than the shortest cipher text.
    #[error("an encrypted part is cut off")]
    Short,
    /// Another key, or changed on the way.
    #[error("an encrypted part does not fit the key")]
    Integrity,
    /// The KDC's word on how to make a key from a password.
    #[error("the KDC asks for {0} rounds to make a key from a password")]
    Iterations(u32),
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes")]
    Random,
}

/// A key. Wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key {
    etype: Etype,
    bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, [hidden])", self.etype)
    }
}

impl Key {
    pub(super) fn new(etype: Etype, bytes: &[u8]) -> Result<Self, CryptoError> {
        if bytes.len() != etype.key_bytes() {
            return Err(CryptoError::KeyLength { bytes: bytes.len(), etype });
        }
        Ok(Self { etype, bytes: Zeroizing::new(bytes.to_vec()) })
    }

    /// A fresh one.
    pub(super) fn random(etype: Etype) -> Result<Self, CryptoError> {
        let mut bytes = Zeroizing::new(vec![0; etype.key_bytes()]);
        getrandom::fill(&mut bytes).map_err(|_| CryptoError::Random)?;
        Ok(Self { etype, bytes })
    }

    /// The key that a password stands for. `rounds` is what the KDC says (`s2kparams`), or else the type's default.
    pub(super) fn from_password(
        etype: Etype,
        password: &str,
        salt: &[u8],
        rounds: Option<u32>,
    ) -> Result<Self, CryptoError> {
        if let Some(rounds) = rounds.filter(|rounds| !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(rounds)) {
            return Err(CryptoError::Iterations(rounds));
        }
        Self::stretched(etype, password, salt, rounds)
    }

    fn stretched(
        etype: Etype,
        password: &str,
        salt: &[u8],
        rounds: Option<u32>,
    ) -> Result<Self, CryptoError> {
        let bytes = match etype {
            Etype::Aes128Sha1 | Etype::Aes256Sha1 => sha1::from_password(etype, password, salt, rounds),
            Etype::Aes128Sha2 | Etype::Aes256Sha2 => sha2::from_password(etype, password, salt, rounds),
        }?;
        Ok(Self { etype, bytes })
    }

    pub(super) fn etype(&self) -> Etype {
        self.etype
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Encrypts behind a fresh random block, with a MAC.
    pub(super) fn encrypt(&self, usage: Usage, plain: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut confounder = [0; BLOCK];
        getrandom::fill(&mut confounder).map_err(|_| CryptoError::Random)?;
        self.encrypt_behind(usage, confounder, plain)
    }

    fn encrypt_behind(
        &self,
        usage: Usage,
        confounder: [u8; BLOCK],
        plain: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let plain = Zeroizing::new([confounder.as_slice(), plain].concat());
        match self.etype {
            Etype::Aes128Sha1 | Etype::Aes256Sha1 => sha1::encrypt(self, usage, &plain),
            Etype::Aes128Sha2 | Etype::Aes256Sha2 => sha2::encrypt(self, usage, &plain),
        }
    }

    /// Decrypts what this key encrypted for that use; anything else is an error.
    pub(super) fn decrypt(&self, usage: Usage, cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let split = cipher.len().checked_sub(self.etype.mac_bytes()).ok_or(CryptoError::Short)?;
        let (cipher, mac) = cipher.split_at_checked(split).ok_or(CryptoError::Short)?;
        if cipher.len() < BLOCK {
            return Err(CryptoError::Short);
        }
        let plain = match self.etype {
            Etype::Aes128Sha1 | Etype::Aes256Sha1 => sha1::decrypt(self, usage, cipher, mac),
            Etype::Aes128Sha2 | Etype::Aes256Sha2 => sha2::decrypt(self, usage, cipher, mac),
        }?;
        Ok(Zeroizing::new(plain.get(BLOCK..).unwrap_or_default().to_vec()))
    }

    /// The keyed checksum of `data`.
    pub(super) fn checksum(&self, usage: Usage, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        match self.etype {
            Etype::Aes128Sha1 | Etype::Aes256Sha1 => sha1::checksum(self, usage, data),
            Etype::Aes128Sha2 | Etype::Aes256Sha2 => sha2::checksum(self, usage, data),
        }
    }

    /// Whether that is the keyed checksum of `data`; takes the same time whatever the answer.
    pub(super) fn verify(&self, usage: Usage, data: &[u8], mac: &[u8]) -> Result<(), CryptoError> {
        match self.etype {
            Etype::Aes128Sha1 | Etype::Aes256Sha1 => sha1::verify(self, usage, data, mac),
            Etype::Aes128Sha2 | Etype::Aes256Sha2 => sha2::verify(self, usage, data, mac),
        }
    }
}

/// What each derived key is for: the last byte of the constant (RFC 3961, 5.3; RFC 8009, 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Checksum = 0x99,
    Encryption = 0xaa,
    Integrity = 0x55,
}

/// The constant a key is derived with.
fn constant(usage: Usage, purpose: Purpose) -> [u8; 5] {
    let [a, b, c, d] = (usage as u32).to_be_bytes();
    [a, b, c, d, purpose as u8]
}

#[cfg(test)]
mod tests;
