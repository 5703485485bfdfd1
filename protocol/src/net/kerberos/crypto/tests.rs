//! Vectors of the RFCs.

use proptest::prelude::*;

use super::*;

/// Bytes from hexadecimal text; blanks are skipped.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

/// RFC 3962, B
#[test]
fn keys_from_passwords_with_sha1() {
    for (rounds, password, salt, etype, expected) in [
        (
            1,
            "password",
            b"ATHENA.MIT.EDUraeburn".as_slice(),
            Etype::Aes128Sha1,
            "42263c6e89f4fc28b8df68ee09799f15",
        ),
        (
            1,
            "password",
            b"ATHENA.MIT.EDUraeburn",
            Etype::Aes256Sha1,
            "fe697b52bc0d3ce14432ba036a92e65bbb52280990a2fa27883998d72af30161",
        ),
        (1200, "password", b"ATHENA.MIT.EDUraeburn", Etype::Aes128Sha1, "4c01cd46d632d01e6dbe230a01ed642a"),
        (
            5,
            "password",
            b"\x12\x34\x56\x78\x78\x56\x34\x12",
            Etype::Aes128Sha1,
            "e9b23d52273747dd5c35cb55be619d8e",
        ),
        (50, "\u{1d11e}", b"EXAMPLE.COMpianist", Etype::Aes128Sha1, "f149c1f2e154a73452d43e7fe62a56e5"),
    ] {
        let key = Key::stretched(etype, password, salt, Some(rounds)).unwrap();
        assert_eq!(key.bytes(), hex(expected), "{rounds} {password} {etype}");
    }
}

/// RFC 8009, A
#[test]
fn keys_from_passwords_with_sha2() {
    let random = hex("10df9dd783e5bc8acea1730e74355f61");
    let salt = [random.as_slice(), b"ATHENA.MIT.EDUraeburn"].concat();
    for (etype, expected) in [
        (Etype::Aes128Sha2, "089bca48b105ea6ea77ca5d2f39dc5e7"),
        (Etype::Aes256Sha2, "45bd806dbf6a833a9cffc1c94589a222367a79bc21c413718906e9f578a78467"),
    ] {
        let key = Key::from_password(etype, "password", &salt, None).unwrap();
        assert_eq!(key.bytes(), hex(expected));
    }
}

/// RFC 3962, B: CBC with stealing.
#[test]
fn stealing() {
    let aes = cts::Aes::new(&hex("636869636b656e207465726979616b69")).unwrap();
    let text = b"I would like the General Gau's Chicken, please, and wonton soup.";
    for (length, expected) in [
        (17, "c6353568f2bf8cb4d8a580362da7ff7f97"),
        (31, "fc00783e0efdb2c1d445d4c8eff7ed2297687268d6ecccc0c07b25e25ecfe5"),
        (32, "39312523a78662d5be7fcbcc98ebf5a897687268d6ecccc0c07b25e25ecfe584"),
        (
            47,
            "97687268d6ecccc0c07b25e25ecfe584b3fffd940c16a18c1b5549d2f838029e39312523a78662d5be7fcbcc98ebf5",
        ),
        (
            48,
            "97687268d6ecccc0c07b25e25ecfe5849dad8bbb96c4cdc03bc103e1a194bbd839312523a78662d5be7fcbcc98ebf5a8",
        ),
    ] {
        assert_eq!(aes.encrypt(&text[..length]), hex(expected), "{length}");
        assert_eq!(aes.decrypt(&hex(expected)).unwrap(), &text[..length]);
    }
}

/// RFC 8009, A: encryption for usage 2, which is not among ours and is taken as the number it is.
#[test]
fn encryption_and_checksums_with_sha2() {
    let short = Key::new(Etype::Aes128Sha2, &hex("3705d96080c17728a0e800eab6e0d23c")).unwrap();
    let long = hex("6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52");
    let long = Key::new(Etype::Aes256Sha2, &long).unwrap();
    let plain = hex("000102030405060708090a0b0c0d0e0f1011121314");
    for (key, confounder, expected) in [
        (
            &short,
            "7bca285e2fd4130fb55b1a5c83bc5b24",
            "84d7f30754ed987bab0bf3506beb09cfb55402cef7e6877ce99e247e52d16ed4421dfdf8976c",
        ),
        (
            &long,
            "b80d3251c1f6471494256ffe712d0b9a",
            "4ed7b37c2bcac8f74f23c1cf07e62bc7b75fb3f637b9f559c7f664f69eab7b6092237526ea0d1f61cb20d69d10f2",
        ),
    ] {
        let plain = &plain[..6];
        let confounder: [u8; BLOCK] = hex(confounder).try_into().unwrap();
        assert_eq!(key.encrypt_behind(Usage::OfTestVectors, confounder, plain).unwrap(), hex(expected));
        assert_eq!(key.decrypt(Usage::OfTestVectors, &hex(expected)).unwrap().as_slice(), plain);
    }
    for (key, expected) in [
        (&short, "d78367186643d67b411cba9139fc1dee"),
        (&long, "45ee791567eefca37f4ac1e0222de80d43c3bfa06699672a"),
    ] {
        assert_eq!(key.checksum(Usage::OfTestVectors, &plain).unwrap(), hex(expected));
    }
}

#[test]
fn rounds_have_a_bound() {
    for rounds in [0, MIN_ITERATIONS - 1, MAX_ITERATIONS + 1] {
        let key = Key::from_password(Etype::Aes256Sha1, "password", b"salt", Some(rounds));
        assert_eq!(key, Err(CryptoError::Iterations(rounds)));
    }
}

#[test]
fn a_key_shows_itself_to_nobody() {
    let key = Key::new(Etype::Aes128Sha1, &[0xab; 16]).unwrap();
    assert_eq!(format!("{key:?}"), "Key(aes128-cts-hmac-sha1-96, [hidden])");
}

proptest! {
    #[test]
    fn only_the_same_key_use_and_bytes_decrypt(
        plain in proptest::collection::vec(any::<u8>(), 0..100),
        which in 0usize..4,
        flip in any::<proptest::sample::Index>(),
    ) {
        let etype = Etype::ALL[which];
        let key = Key::random(etype).unwrap();
        let cipher = key.encrypt(Usage::ApReply, &plain).unwrap();
        let decrypted = key.decrypt(Usage::ApReply, &cipher).unwrap();
        prop_assert_eq!(decrypted.as_slice(), plain.as_slice());
        prop_assert!(key.decrypt(Usage::AsReply, &cipher).is_err());
        prop_assert!(Key::random(etype).unwrap().decrypt(Usage::ApReply, &cipher).is_err());
        let mut changed = cipher;
        *flip.get_mut(&mut changed) ^= 1;
        prop_assert!(key.decrypt(Usage::ApReply, &changed).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(cipher in proptest::collection::vec(any::<u8>(), 0..80), which in 0usize..4) {
        let key = Key::random(Etype::ALL[which]).unwrap();
        let _ = key.decrypt(Usage::ApReply, &cipher);
        let _ = key.verify(Usage::InitiatorSeal, &cipher, &cipher);
    }
}
