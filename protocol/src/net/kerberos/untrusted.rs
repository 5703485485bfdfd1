//! What comes from files and from others, read and thrown away: the door for fuzzing. Nothing else needs it.

use super::conf::parse_alone;
use super::crypto::{Etype, Key, Usage};
use super::messages::{EtypeInfo, KdcAnswer, PaData, ReplyPart, Ticket};
use super::{ap, ccache, gss, keytab};

/// Reads the bytes as each kind of file and message there is; how many of them they could be.
#[doc(hidden)]
pub fn read_as_everything(bytes: &[u8]) -> usize {
    let key = Key::new(Etype::Aes128Sha2, &[7; 16]);
    let readable = [
        parse_alone(&String::from_utf8_lossy(bytes)).is_ok(),
        keytab::parse(bytes).is_ok(),
        ccache::parse(bytes).is_ok(),
        KdcAnswer::parse(bytes).is_ok(),
        ReplyPart::parse(bytes).is_ok(),
        PaData::list(bytes).is_ok(),
        EtypeInfo::list(bytes).is_ok(),
        Ticket::parse(bytes).is_ok(),
        ap::reply(bytes).is_ok(),
        ap::ApReplyPart::parse(bytes).is_ok(),
        gss::unframed(bytes).is_ok(),
        key.as_ref().is_ok_and(|key| gss::unwrap(key, true, bytes).is_ok()),
        key.is_ok_and(|key| key.decrypt(Usage::TgsReply, bytes).is_ok()),
    ];
    readable.into_iter().filter(|is_readable| *is_readable).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_key_tab_is_one() {
        assert!(read_as_everything(&[5, 2]) >= 1);
    }
}
