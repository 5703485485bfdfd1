//! PEM (RFC 7468): certificates and keys as text, from a file or from a property. Pure.
//!
//! As lenient as Kafka's `DefaultSslEngineFactory.PemParser`, and a little more: other text may stand around, line breaks may
//! be missing, or be written as `\n`.

use pkcs8::EncryptedPrivateKeyInfo;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Kdf;
use zeroize::Zeroizing;

use super::base64;
use super::{Identity, KeyFormat, KeystoreError, MAX_CHAIN, PrivateKey, Trusted};
use crate::secret::Secret;

/// How often a password is hashed at most: about a second.
const MAX_ITERATIONS: u32 = 1_000_000;
/// The memory that scrypt may take, in bytes; openssl asks for 16 MiB.
const MAX_SCRYPT_BYTES: u64 = 64 << 20;
const MAX_SCRYPT_PARALLEL: u16 = 4;

const DASHES: &str = "-----";
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// One block.
struct Block<'a> {
    label: &'a str,
    /// What stands between its lines.
    body: &'a str,
}

/// Whether the bytes look like PEM.
pub(super) fn is(bytes: &[u8]) -> bool {
    bytes.windows(BEGIN.len()).any(|window| window == BEGIN.as_bytes())
}

/// The text, with line breaks where they were written as `\n`.
pub(super) fn text(bytes: &[u8]) -> Zeroizing<String> {
    let text = Zeroizing::new(String::from_utf8_lossy(bytes).into_owned());
    if !text.contains("\\n") {
        return text;
    }
    let bare = Zeroizing::new(text.replace("\\r", ""));
    Zeroizing::new(bare.replace("\\n", "\n"))
}

/// All certificates.
pub(super) fn trusted(text: &str) -> Result<Vec<Trusted>, KeystoreError> {
    let found = certificates(text)?;
    let named = (0..).zip(found).map(|(number, der): (usize, _)| Trusted { alias: number.to_string(), der });
    Ok(named.collect())
}

/// The certificates of one text, in their order, with the only private key of another, which may be the same.
pub(super) fn identity(
    certificate_text: &str,
    key_text: &str,
    password: Option<&Secret>,
) -> Result<Identity, KeystoreError> {
    let mut keys = Vec::new();
    for block in blocks(key_text)? {
        if block.label.ends_with("PRIVATE KEY") {
            keys.push(block);
        }
    }
    let key = match keys.as_slice() {
        [] => return Err(KeystoreError::NoKey),
        [key] => private_key(key, password)?,
        several => return Err(KeystoreError::SeveralKeys(several.len())),
    };
    let mut chain = certificates(certificate_text)?;
    chain.truncate(MAX_CHAIN);
    if chain.is_empty() {
        Err(KeystoreError::NoCertificates)
    } else {
        Ok(Identity { alias: "PEM".to_owned(), chain, key })
    }
}

fn certificates(text: &str) -> Result<Vec<Vec<u8>>, KeystoreError> {
    let mut found = Vec::new();
    for block in blocks(text)? {
        if block.label.ends_with("CERTIFICATE") {
            let der = decode(&block)?;
            let (rest, _) = x509_parser::parse_x509_certificate(&der)
                .map_err(|_| KeystoreError::Damaged("a certificate cannot be read"))?;
            // openssl puts settings of its own behind a "TRUSTED CERTIFICATE".
            let len = der.len() - rest.len();
            found.push(der.get(..len).unwrap_or_default().to_vec());
        }
    }
    Ok(found)
}

/// The blocks of a text.
fn blocks(text: &str) -> Result<Vec<Block<'_>>, KeystoreError> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once(BEGIN) {
        let damaged = || KeystoreError::Damaged("a PEM block has no end");
        let (label, behind) = begun.split_once(DASHES).ok_or_else(damaged)?;
        let (body, ended) = behind.split_once(END).ok_or_else(damaged)?;
        let (end, behind) = ended.split_once(DASHES).ok_or_else(damaged)?;
        if end.trim() != label.trim() {
            return Err(KeystoreError::Damaged("a PEM block ends under another name than it begins"));
        }
        blocks.push(Block { label: label.trim(), body });
        rest = behind;
    }
    Ok(blocks)
}

fn decode(block: &Block<'_>) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    // Lines with a colon are headers (RFC 1421); base 64 has none.
    let mut body = Zeroizing::new(Vec::with_capacity(block.body.len()));
    for line in block.body.lines().filter(|line| !line.contains(':')) {
        body.extend(line.as_bytes());
    }
    base64::decode(&body).ok_or(KeystoreError::Damaged("a PEM block is not base 64"))
}

fn private_key(block: &Block<'_>, password: Option<&Secret>) -> Result<PrivateKey, KeystoreError> {
    if block.body.contains("Proc-Type:") && block.body.contains("ENCRYPTED") {
        return Err(KeystoreError::Unsupported(
            "openssl's old \"Proc-Type: 4,ENCRYPTED\"; convert the key with: openssl pkcs8 -topk8",
        ));
    }
    let der = decode(block)?;
    let (format, der) = match block.label {
        "PRIVATE KEY" => (KeyFormat::Pkcs8, der),
        "RSA PRIVATE KEY" => (KeyFormat::Pkcs1, der),
        "EC PRIVATE KEY" => (KeyFormat::Sec1, der),
        "ENCRYPTED PRIVATE KEY" => {
            (KeyFormat::Pkcs8, decrypt(&der, password.ok_or(KeystoreError::NoKeyPassword)?)?)
        }
        _ => return Err(KeystoreError::Unsupported("the kind of its private key is unknown")),
    };
    Ok(PrivateKey { format, der })
}

pub(super) fn decrypt(der: &[u8], password: &Secret) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    let info = EncryptedPrivateKeyInfo::try_from(der)
        .map_err(|_| KeystoreError::Damaged("its encrypted private key cannot be read"))?;
    let EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm else {
        return Err(KeystoreError::Unsupported(
            "PBES1; convert the key with: openssl pkcs8 -topk8 -v2 aes-256-cbc",
        ));
    };
    let affordable = match &parameters.kdf {
        Kdf::Pbkdf2(kdf) => kdf.iteration_count <= MAX_ITERATIONS,
        Kdf::Scrypt(kdf) => {
            let memory =
                kdf.cost_parameter.checked_mul(u64::from(kdf.block_size)).and_then(|n| n.checked_mul(128));
            memory.is_some_and(|bytes| bytes <= MAX_SCRYPT_BYTES)
                && kdf.parallelization <= MAX_SCRYPT_PARALLEL
        }
        _ => false,
    };
    if !affordable {
        return Err(KeystoreError::Unsupported("its password would have to be hashed too often"));
    }
    match info.decrypt(password.expose()) {
        Ok(key) => Ok(Zeroizing::new(key.as_bytes().to_vec())),
        Err(pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. })) => {
            Err(KeystoreError::Unsupported("convert the key with: openssl pkcs8 -topk8 -v2 aes-256-cbc"))
        }
        Err(_) => Err(KeystoreError::WrongKeyPassword),
    }
}
