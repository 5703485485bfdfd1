//! Both ends in memory: a rustls server of the usual kind at the other.

use proptest::prelude::*;
use rustls::server::ServerConnection;
use std::io::{Read, Write};

use super::*;
use crate::net::tls::load;
use crate::net::tls::tests::{ONLY_12, PLAIN, Side, acceptor, trusting};

fn client() -> Records {
    let loaded = load::load(&trusting("ca.pem")).unwrap();
    Records::new(Arc::clone(&loaded.config), "localhost".try_into().unwrap()).unwrap()
}

fn server(side: &Side) -> ServerConnection {
    ServerConnection::new(Arc::clone(acceptor(side).config())).unwrap()
}

/// What was told.
#[derive(Default)]
struct Told {
    client: Vec<u8>,
    server: Vec<u8>,
}

/// Carries what both have to say to each other.
fn carry(client: &mut Records, server: &mut ServerConnection, pieces: usize) -> Result<Told, Error> {
    let mut told = Told::default();
    loop {
        let mut moved = 0;
        while !client.to_send().is_empty() {
            let sent = server.read_tls(&mut client.to_send()).unwrap();
            server.process_new_packets().ok();
            server.reader().read_to_end(&mut told.server).ok();
            client.sent(sent);
            moved += sent;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            moved += server.write_tls(&mut wire).unwrap();
        }
        for piece in wire.chunks(pieces) {
            client.room()[..piece.len()].copy_from_slice(piece);
            client.came(piece.len());
            told.client.extend(read(client)?);
        }
        told.client.extend(read(client)?);
        if moved == 0 && client.to_send().is_empty() {
            return Ok(told);
        }
    }
}

fn read(client: &mut Records) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    loop {
        let mut space = [0; 700];
        let mut into = ReadBuf::new(&mut space);
        client.open(&mut into)?;
        if into.filled().is_empty() {
            return Ok(all);
        }
        all.extend_from_slice(into.filled());
    }
}

#[test]
fn bytes_arrive_as_they_were_however_they_are_cut() {
    let only_12 = Side { versions: ONLY_12, ..PLAIN };
    for (side, pieces) in [(&PLAIN, 1), (&PLAIN, 4000), (&PLAIN, 60_000), (&only_12, 333)] {
        let (mut client, mut server) = (client(), server(side));
        carry(&mut client, &mut server, pieces).unwrap();
        let bytes: Vec<u8> = (0..200_000_u32).map(|one| one.to_le_bytes()[0]).collect();
        let mut got = Vec::new();
        let mut sent = 0;
        while sent < bytes.len() {
            // A short piece, then one of many records.
            let (head, rest) = bytes[sent..].split_at(5.min(bytes.len() - sent));
            let slices = [IoSlice::new(head), IoSlice::new(&[]), IoSlice::new(rest)];
            sent += client.seal(&slices).unwrap();
            got.extend(carry(&mut client, &mut server, pieces).unwrap().server);
        }
        assert!(got == bytes, "to the server");
        let mut told = Vec::new();
        for part in bytes.chunks(30_000) {
            server.writer().write_all(part).unwrap();
            told.extend(carry(&mut client, &mut server, pieces).unwrap().client);
        }
        assert!(told == bytes, "from the server");
        client.farewell();
        server.send_close_notify();
        carry(&mut client, &mut server, pieces).unwrap();
        assert!(client.is_over());
    }
}

#[test]
fn new_keys_are_answered() {
    let (mut client, mut server) = (client(), server(&PLAIN));
    carry(&mut client, &mut server, 4000).unwrap();
    for _ in 0..3 {
        server.refresh_traffic_keys().unwrap();
        server.writer().write_all(b"under new keys").unwrap();
        assert_eq!(carry(&mut client, &mut server, 4000).unwrap().client, b"under new keys");
        assert_eq!(client.seal(&[IoSlice::new(b"understood")]).unwrap(), 10);
        assert_eq!(carry(&mut client, &mut server, 4000).unwrap().server, b"understood");
    }
}

proptest! {
    #[test]
    fn nothing_that_comes_can_hurt(
        flipped in 0_usize..6000,
        bit in 0_u8..8,
        junk in prop::collection::vec(any::<u8>(), 0..300),
        begins_with_it in any::<bool>(),
    ) {
        let (mut client, mut server) = (client(), server(&PLAIN));
        let mut seen = 0;
        if begins_with_it {
            client.room()[..junk.len()].copy_from_slice(&junk);
            client.came(junk.len());
        }
        for round in 0..6 {
            let mut failed = read(&mut client).is_err();
            let sent = client.to_send().len();
            if sent > 0 {
                server.read_tls(&mut client.to_send()).ok();
                server.process_new_packets().ok();
                client.sent(sent);
            }
            server.writer().write_all(b"some words").ok();
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            if round == 5 {
                wire.extend_from_slice(&junk);
            }
            if let Some(byte) = flipped.checked_sub(seen).and_then(|at| wire.get_mut(at)) {
                *byte ^= 1 << bit;
            }
            seen += wire.len();
            client.room()[..wire.len()].copy_from_slice(&wire);
            client.came(wire.len());
            failed |= read(&mut client).is_err();
            prop_assert!(!failed || client.seal(&[IoSlice::new(b"still there?")]).is_err());
        }
        client.farewell();
    }
}
