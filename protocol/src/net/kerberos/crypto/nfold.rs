//! n-fold: stretches or shrinks bytes to a given length (RFC 3961, 5.1).

/// `input` folded to `length` bytes. Copies of the input, each rotated 13 bits to the right of the one before, are
/// added in pieces of `length` bytes with end-around carry.
pub(super) fn nfold(input: &[u8], length: usize) -> Vec<u8> {
    let mut out = vec![0u8; length];
    if input.is_empty() || length == 0 {
        return out;
    }
    let copies = length / gcd(input.len(), length);
    let stretched: Vec<u8> = (0..copies).flat_map(|copy| rotated(input, 13 * copy)).collect();
    for piece in stretched.chunks_exact(length) {
        add(&mut out, piece);
    }
    out
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The bits of `input` rotated to the right.
fn rotated(input: &[u8], by: usize) -> Vec<u8> {
    let bits = input.len() * 8;
    let bit = |position: usize| input.get(position / 8).map_or(0, |byte| byte >> (7 - position % 8) & 1);
    let from = |position: usize| (position + bits - by % bits) % bits;
    (0..input.len()).map(|index| (0..8).fold(0, |byte, i| byte << 1 | bit(from(index * 8 + i)))).collect()
}

/// `sum += piece` as numbers of ones' complement: what is carried out of the top comes back in at the bottom.
fn add(sum: &mut [u8], piece: &[u8]) {
    let mut carry = 0u16;
    for (left, right) in sum.iter_mut().rev().zip(piece.iter().rev()) {
        let [high, low] = (u16::from(*left) + u16::from(*right) + carry).to_be_bytes();
        (*left, carry) = (low, u16::from(high));
    }
    for left in sum.iter_mut().rev() {
        let [high, low] = (u16::from(*left) + carry).to_be_bytes();
        (*left, carry) = (low, u16::from(high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3961, A.1
    #[test]
    fn vectors_of_the_rfc() {
        for (input, expected) in [
            ("012345", "be072631276b1955"),
            ("password", "78a07b6caf85fa"),
            ("Rough Consensus, and Running Code", "bb6ed30870b7f0e0"),
            ("password", "59e4a8ca7c0385c3c37b3f6d2000247cb6e6bd5b3e"),
            ("MASSACHVSETTS INSTITVTE OF TECHNOLOGY", "db3b0d8f0b061e603282b308a50841229ad798fab9540c1b"),
            ("Q", "518a54a2 15a8452a 518a54a2 15a8452a 518a54a2 15"),
            ("ba", "fb25d531ae8974499f52fd92ea9857c4ba24cf297e"),
            ("kerberos", "6b65726265726f73"),
            ("kerberos", "6b65726265726f737b9b5b2b93132b93"),
        ] {
            let expected = super::super::tests::hex(expected);
            assert_eq!(nfold(input.as_bytes(), expected.len()), expected, "{input}");
        }
    }
}
