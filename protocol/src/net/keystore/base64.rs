//! Base 64 (RFC 4648), as lenient about blanks as PEM is. Pure.

use zeroize::Zeroizing;

/// Decodes; blanks and line breaks are passed over. `None` for anything else that is not base 64.
pub(super) fn decode(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3 + 3));
    let (mut bits, mut count, mut padding) = (0_u32, 0_u8, 0_u8);
    for byte in text.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        if *byte == b'=' {
            padding += 1;
            if padding > 2 {
                return None;
            }
            continue;
        }
        if padding > 0 {
            return None;
        }
        bits = bits << 6 | u32::from(value(*byte)?);
        count += 1;
        if count == 4 {
            let [_, first, second, third] = bits.to_be_bytes();
            out.extend([first, second, third]);
            (bits, count) = (0, 0);
        }
    }
    let [_, first, second, _] = (bits << (6 * u32::from(4 - count))).to_be_bytes();
    match count {
        0 => {}
        2 => out.push(first),
        3 => out.extend([first, second]),
        _ => return None,
    }
    Some(out)
}

fn value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
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
