//! Base 64 (RFC 4648), as lenient about blanks as PEM is. Pure.

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use zeroize::Zeroizing;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes; blanks and line breaks are passed over. `None` for anything else that is not base 64.
pub(super) fn decode(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let bare: Zeroizing<Vec<u8>> =
        Zeroizing::new(text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect());
    LENIENT.decode(&*bare).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_the_examples_of_the_rfc() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9v\nYg==", "foob"),
            (" Zm9vYmE= ", "fooba"),
            ("Zm9v YmFy\r\n", "foobar"),
        ] {
            assert_eq!(decode(text.as_bytes()).unwrap().as_slice(), bytes.as_bytes(), "{text}");
        }
        for text in ["Z", "Zm9v!", "Zg==Zg==", "Zg===", "Zm9vY"] {
            assert!(decode(text.as_bytes()).is_none(), "{text}");
        }
    }
}
