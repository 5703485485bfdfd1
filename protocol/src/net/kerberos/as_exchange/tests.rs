//! A login against a KDC that is played here.

use super::*;
use crate::net::kerberos::conf;
use crate::net::kerberos::der;

const NOW: KerberosTime = KerberosTime(1_795_305_600);

fn proof() -> Proof {
    Proof::Password(Secret::new("secret-word"))
}

fn client() -> Principal {
    Principal::parse("mm@R", None).unwrap()
}

/// A KDC's `KRB-ERROR`.
pub(in super::super) fn error(code: i32, at: KerberosTime, data: &[u8]) -> Vec<u8> {
    let parts = [
        der::context(0, &der::integer(5)),
        der::context(1, &der::integer(30)),
        der::context(4, &der::time(at)),
        der::context(5, &der::integer(0)),
        der::context(6, &der::integer(code.into())),
        der::context(9, &der::string("R")),
        der::context(10, &Principal::ticket_granting("R", "R").to_der()),
        der::context(12, &der::octets(data)),
    ];
    der::application(30, &der::sequence(&parts))
}

/// What a KDC says of the ways to log in.
fn ways(etype: i64, kinds: &[i64]) -> Vec<u8> {
    let info = der::sequence(&[
        der::context(0, &der::integer(etype)),
        der::context(1, &der::string("salt")),
        der::context(2, &der::octets(&[0, 0, 16, 0])),
    ]);
    let data = |kind: i64, value: &[u8]| {
        der::sequence(&[der::context(1, &der::integer(kind)), der::context(2, &der::octets(value))])
    };
    let mut list = vec![data(19, &der::sequence(&[info])), data(133, b"cookie")];
    list.extend(kinds.iter().map(|kind| data(*kind, b"")));
    der::sequence(&list)
}

fn key(etype: Etype) -> Key {
    Key::from_password(etype, "secret-word", b"salt", Some(4096)).unwrap()
}

/// What the KDC gives: to `client`, under the key, saying it is `at`.
fn ticket(etype: Etype, nonce: i64, at: KerberosTime) -> Vec<u8> {
    let server = Principal::ticket_granting("R", "R");
    let session = [der::context(0, &der::integer(18)), der::context(1, &der::octets(&[5; 32]))];
    let part = der::application(
        25,
        &der::sequence(&[
            der::context(0, &der::sequence(&session)),
            der::context(1, &der::sequence(&[])),
            der::context(2, &der::integer(nonce)),
            der::context(4, &der::flags(0)),
            der::context(5, &der::time(at)),
            der::context(7, &der::time(at.plus(3600))),
            der::context(9, &der::string("R")),
            der::context(10, &server.to_der()),
        ]),
    );
    let key = key(etype);
    let encrypted = Encrypted::by(&key, key.encrypt(Usage::AsReply, &part).unwrap()).to_der();
    let shown = der::sequence(&[
        der::context(0, &der::integer(5)),
        der::context(1, &der::string("R")),
        der::context(2, &server.to_der()),
        der::context(3, &encrypted),
    ]);
    let parts = [
        der::context(0, &der::integer(5)),
        der::context(1, &der::integer(11)),
        der::context(3, &der::string("R")),
        der::context(4, &client().to_der()),
        der::context(5, &der::application(1, &shown)),
        der::context(6, &encrypted),
    ];
    der::application(11, &der::sequence(&parts))
}

fn ask(step: AsStep) -> Vec<u8> {
    match step {
        AsStep::Ask(bytes) => bytes,
        AsStep::Got(_) => panic!("got a ticket"),
    }
}

#[test]
fn a_timestamp_is_given_when_it_is_asked_for() {
    let (conf, proof) = (Conf::default(), proof());
    let mut exchange = AsExchange::new(client(), &proof, &conf, 77, 0).unwrap();
    let first = exchange.request(NOW, 1).unwrap();
    let required = error(refusal::PREAUTH_REQUIRED, NOW, &ways(18, &[2]));
    let second = ask(exchange.answer(&required, NOW, 2).unwrap());
    assert!(second.len() > first.len());
    assert!(second.windows(6).any(|window| window == b"cookie"));
    match exchange.answer(&ticket(Etype::Aes256Sha1, 77, NOW), NOW, 3).unwrap() {
        AsStep::Got(tgt) => assert_eq!((tgt.start, tgt.end), (NOW, NOW.plus(3600))),
        AsStep::Ask(_) => panic!("asks"),
    }
    // Asked for once more: the KDC does not take it.
    assert!(exchange.answer(&required, NOW, 4).is_err());
}

#[test]
fn the_clock_of_the_kdc_is_taken_once() {
    let (conf, proof) = (Conf::default(), proof());
    let mut exchange = AsExchange::new(client(), &proof, &conf, 77, 0).unwrap();
    let skewed = error(refusal::CLOCK_SKEW, NOW.plus(4000), b"");
    ask(exchange.answer(&skewed, NOW, 0).unwrap());
    assert_eq!(exchange.ahead(), 4000);
    let again = exchange.answer(&skewed, NOW, 0).unwrap_err().to_string();
    assert!(again.contains("differ by 4000 s"), "{again}");
}

#[test]
fn a_clock_that_differs_is_an_error_where_that_is_wanted() {
    let text = "[libdefaults]\nkdc_timesync = 0\n";
    let (conf, proof) = (conf::tests::conf(text), proof());
    let mut exchange = AsExchange::new(client(), &proof, &conf, 77, 0).unwrap();
    let skewed = error(refusal::CLOCK_SKEW, NOW.plus(-4000), b"");
    let message = exchange.answer(&skewed, NOW, 0).unwrap_err().to_string();
    assert!(message.contains("differ by 4000 s") && message.contains("is behind"), "{message}");
}

#[test]
fn a_reply_shows_how_far_the_clock_is_off() {
    let (conf, proof) = (Conf::default(), proof());
    for (at, ahead) in [(NOW.plus(2), 0), (NOW.plus(-90), -90)] {
        let mut exchange = AsExchange::new(client(), &proof, &conf, 77, 0).unwrap();
        ask(exchange.answer(&error(refusal::PREAUTH_REQUIRED, at, &ways(20, &[2])), NOW, 0).unwrap());
        exchange.answer(&ticket(Etype::Aes256Sha2, 77, at), NOW, 0).unwrap();
        assert_eq!(exchange.ahead(), ahead);
    }
}

#[test]
fn replies_to_others_and_other_keys() {
    let (conf, proof) = (Conf::default(), proof());
    let prepared = || {
        let mut exchange = AsExchange::new(client(), &proof, &conf, 77, 0).unwrap();
        exchange.answer(&error(refusal::PREAUTH_REQUIRED, NOW, &ways(18, &[2])), NOW, 0).unwrap();
        exchange
    };
    let other = prepared().answer(&ticket(Etype::Aes256Sha1, 78, NOW), NOW, 0);
    assert!(matches!(other, Err(KerberosError::NotOurs { what: "another nonce", .. })));
    let mut unprepared = AsExchange::new(client(), &proof, &conf, 77, 0).unwrap();
    let wrong = unprepared.answer(&ticket(Etype::Aes256Sha1, 77, NOW), NOW, 0).unwrap_err();
    assert!(matches!(wrong, KerberosError::WrongKey { .. }));
    assert!(!format!("{wrong:?} {wrong}").contains("secret-word"));
}

#[test]
fn ways_that_we_do_not_have() {
    let (conf, proof) = (Conf::default(), proof());
    let answer = |data: &[u8]| {
        let mut exchange = AsExchange::new(client(), &proof, &conf, 77, 0).unwrap();
        exchange.answer(&error(refusal::PREAUTH_REQUIRED, NOW, data), NOW, 0).unwrap_err().to_string()
    };
    assert!(answer(&ways(18, &[16])).contains("it offers 19, 133, 16"));
    assert!(answer(&ways(23, &[2])).contains("arcfour-hmac (RC4)"));
}
