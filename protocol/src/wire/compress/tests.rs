//! Round trips through every codec, streams as other implementations write them, and hostile ones.

use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use proptest::prelude::*;

use super::*;

const CODECS: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

const LIMIT: usize = 16 << 20;

/// Bytes that compress to something like a third.
fn text(len: usize) -> Vec<u8> {
    let mut seed = 1u64;
    let words = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("\"field{}\": {}, ", seed >> 60, seed >> 52).into_bytes()
    });
    words.flatten().take(len).collect()
}

fn compress(codec: Codec, level: Option<i32>, pieces: &[&[u8]]) -> Vec<u8> {
    let mut compressor = Compressor::default();
    let (mut raw, mut out) = (Vec::new(), Vec::new());
    compressor.start(codec, level, &mut out).unwrap();
    for piece in pieces {
        raw.extend_from_slice(piece);
        compressor.take_blocks(&mut raw, &mut out).unwrap();
    }
    compressor.finish(&mut raw, &mut out).unwrap();
    out
}

fn decompress(codec: Codec, bytes: &[u8]) -> Result<Vec<u8>, CompressError> {
    Decompressor::default().whole(codec, bytes, LIMIT).map(<[u8]>::to_vec)
}

fn lz4_frame(info: FrameInfo, bytes: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_codec_and_size_comes_back() {
    let mut decompressor = Decompressor::default();
    for codec in Codec::ALL {
        for len in [0, 1, 100, 32_768, 65_533, 65_534, 65_535, 65_536, 131_073, 1_000_000, 5_000_000] {
            let text = text(len);
            let compressed = compress(codec, None, &[&text]);
            let whole = decompressor.whole(codec, &compressed, LIMIT).unwrap();
            assert!(whole == text, "{codec}, {len} bytes");
            assert!(codec == Codec::None || len < 1000 || compressed.len() < len / 2, "{codec}, {len} bytes");
        }
    }
}

#[test]
fn pieces_and_flushes_do_not_change_the_content() {
    let text = text(300_000);
    for codec in CODECS {
        let mut compressor = Compressor::default();
        let (mut raw, mut out) = (Vec::new(), Vec::new());
        compressor.start(codec, None, &mut out).unwrap();
        for piece in text.chunks(7_001) {
            raw.extend_from_slice(piece);
            let bound = out.len() + compressor.bound(raw.len());
            compressor.flush(&mut raw, &mut out).unwrap();
            assert!(out.len() <= bound);
            assert!(raw.is_empty());
        }
        compressor.finish(&mut raw, &mut out).unwrap();
        assert!(decompress(codec, &out).unwrap() == text, "{codec}");
    }
}

#[test]
fn a_flush_of_nothing_is_harmless() {
    for codec in Codec::ALL {
        let (mut compressor, mut raw, mut out) = (Compressor::default(), Vec::new(), Vec::new());
        compressor.start(codec, None, &mut out).unwrap();
        compressor.flush(&mut raw, &mut out).unwrap();
        raw.extend_from_slice(b"text");
        compressor.finish(&mut raw, &mut out).unwrap();
        assert_eq!(decompress(codec, &out).unwrap(), b"text", "{codec}");
    }
}

#[test]
fn levels_are_the_codecs_own() {
    let text = text(200_000);
    for (codec, low, high) in [(Codec::Gzip, 1, 9), (Codec::Zstd, 1, 19)] {
        let (low, high) = (compress(codec, Some(low), &[&text]), compress(codec, Some(high), &[&text]));
        assert!(high.len() < low.len(), "{codec}");
        assert_eq!(decompress(codec, &high).unwrap(), text);
    }
    assert_eq!(compress(Codec::Gzip, Some(-1), &[&text]), compress(Codec::Gzip, Some(6), &[&text]));
    for (codec, level) in [(Codec::Gzip, 10), (Codec::Gzip, 0), (Codec::Zstd, 23)] {
        let refused = Compressor::default().start(codec, Some(level), &mut Vec::new());
        assert_eq!(refused, Err(CompressError::Level { codec, level }));
    }
}

#[test]
fn contexts_are_reused_after_an_error() {
    let text = text(100_000);
    let mut decompressor = Decompressor::default();
    for codec in CODECS {
        let good = compress(codec, None, &[&text]);
        let mut bad = good.clone();
        bad.truncate(good.len() / 2);
        assert!(decompressor.whole(codec, &bad, LIMIT).is_err(), "{codec}");
        assert!(decompressor.whole(codec, &good, LIMIT).unwrap() == text, "{codec}");
    }
}

#[test]
fn a_payload_that_breaks_off_is_an_error() {
    let text = text(70_000);
    for codec in CODECS {
        let whole = compress(codec, None, &[&text]);
        for len in (1..whole.len()).step_by(97) {
            let part = decompress(codec, &whole[..len]);
            // Snappy's framing has no end: it may break off between blocks.
            let ends_between_blocks =
                codec == Codec::Snappy && matches!(&part, Ok(part) if text.starts_with(part));
            assert!(part.is_err() || ends_between_blocks, "{codec} at {len}");
        }
    }
}

#[test]
fn a_bomb_is_refused_at_the_limit() {
    let zeros = vec![0; 4 << 20];
    for codec in CODECS {
        let bomb = compress(codec, None, &[&zeros]);
        let mut decompressor = Decompressor::default();
        assert!(decompressor.whole(codec, &bomb, zeros.len()).is_ok(), "{codec}");
        let refused = decompressor.whole(codec, &bomb, zeros.len() - 1).map(<[u8]>::len);
        assert_eq!(refused, Err(CompressError::TooLarge { codec, limit: zeros.len() - 1 }));
        let refused = decompressor.whole(codec, &bomb, 1000).map(<[u8]>::len);
        assert_eq!(refused, Err(CompressError::TooLarge { codec, limit: 1000 }));
    }
}

#[test]
fn a_snappy_block_cannot_claim_more_than_its_bytes_can_hold() {
    // A length of 64 MiB and nothing behind it.
    let lie = [0x80, 0x80, 0x80, 0x20, 0];
    let mut decompressor = Decompressor::default();
    let refused = decompressor.whole(Codec::Snappy, &lie, 1 << 30).map(<[u8]>::len);
    assert!(matches!(refused, Err(CompressError::Damaged { codec: Codec::Snappy, .. })));
}

#[test]
fn gzip_members_in_a_row_and_optional_header_fields() {
    let (front, back) = (text(100_000), text(5_000));
    let mut joined = compress(Codec::Gzip, None, &[&front]);
    let fields = flate2::GzBuilder::new().filename("name").comment("comment").extra([1, 2, 3]);
    let mut encoder = fields.write(Vec::new(), flate2::Compression::best());
    encoder.write_all(&back).unwrap();
    joined.extend(encoder.finish().unwrap());
    let expected = [front, back].concat();
    assert!(decompress(Codec::Gzip, &joined).unwrap() == expected);
    joined.extend([0, 0, 0]);
    assert!(decompress(Codec::Gzip, &joined).unwrap() == expected, "padding behind the last member");
}

#[test]
fn gzip_is_read_by_another_implementation() {
    let text = text(300_000);
    let compressed = compress(Codec::Gzip, None, &[&text]);
    let mut read = Vec::new();
    std::io::copy(&mut flate2::read::GzDecoder::new(compressed.as_slice()), &mut read).unwrap();
    assert!(read == text);
}

#[test]
fn gzip_checks_its_own_checksum() {
    let mut damaged = compress(Codec::Gzip, None, &[b"some text"]);
    let at = damaged.len() - 8;
    damaged[at] ^= 1;
    assert!(decompress(Codec::Gzip, &damaged).is_err());
}

#[test]
fn snappy_without_framing_and_with_joined_streams() {
    let text = text(40_000);
    let raw = snap::raw::Encoder::new().compress_vec(&text).unwrap();
    assert!(decompress(Codec::Snappy, &raw).unwrap() == text);
    let joined = compress(Codec::Snappy, None, &[&text]).repeat(2);
    assert!(decompress(Codec::Snappy, &joined).unwrap() == text.repeat(2));
}

#[test]
fn snappy_framing_is_that_of_the_java_library() {
    let framed = compress(Codec::Snappy, None, &[&[7; 40_000]]);
    assert_eq!(framed[..16], *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
    let len = usize::try_from(u32::from_be_bytes([framed[16], framed[17], framed[18], framed[19]])).unwrap();
    assert_eq!(snap::raw::decompress_len(&framed[20..20 + len]), Ok(32_768));
}

#[test]
fn lz4_frames_of_every_kind_are_read() {
    let text = text(6_000_000);
    for mode in [BlockMode::Independent, BlockMode::Linked] {
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
            for checksums in [false, true] {
                let info = FrameInfo::new()
                    .block_mode(mode)
                    .block_size(size)
                    .block_checksums(checksums)
                    .content_checksum(checksums)
                    .content_size(checksums.then_some(6_000_000));
                let frame = lz4_frame(info, &text);
                assert!(decompress(Codec::Lz4, &frame).unwrap() == text, "{mode:?} {size:?} {checksums}");
            }
        }
    }
}

#[test]
fn lz4_linked_blocks_survive_reading_piece_by_piece() {
    let text = text(600_000);
    let info = FrameInfo::new().block_mode(BlockMode::Linked).block_size(BlockSize::Max64KB);
    let frame = lz4_frame(info, &text);
    let (mut decompressor, mut read, mut input) = (Decompressor::default(), Vec::new(), frame.as_slice());
    decompressor.start(Codec::Lz4, LIMIT).unwrap();
    while decompressor.fill(&mut input).unwrap() {
        let part = decompressor.unread().len() * 9 / 10;
        read.extend_from_slice(&decompressor.unread()[..part]);
        decompressor.consume(part);
    }
    read.extend_from_slice(decompressor.unread());
    assert!(read == text);
}

#[test]
fn lz4_is_read_by_another_implementation() {
    // Incompressible in the middle, so that a block is stored.
    let noise: Vec<u8> =
        (0..100_000u32).flat_map(|i| crate::wire::crc::crc32(&i.to_be_bytes()).to_be_bytes()).collect();
    let mixed = [text(100_000), noise, text(100_000)].concat();
    let frame = compress(Codec::Lz4, None, &[&mixed]);
    let mut read = Vec::new();
    std::io::copy(&mut lz4_flex::frame::FrameDecoder::new(frame.as_slice()), &mut read).unwrap();
    assert!(read == mixed);
}

#[test]
fn lz4_header_checksum_of_old_producers_is_forgiven() {
    let mut frame = compress(Codec::Lz4, None, &[b"some text, some text, some text"]);
    frame[6] ^= 0xFF;
    assert!(decompress(Codec::Lz4, &frame).is_ok());
}

#[test]
fn zstd_with_and_without_size_and_in_several_frames() {
    let text = text(400_000);
    let sized = ::zstd::encode_all(&text[..1000], 3).unwrap();
    let bulk = ::zstd::bulk::compress(&text, 3).unwrap();
    let mut unsized_frame = ::zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    unsized_frame.include_contentsize(false).unwrap();
    unsized_frame.write_all(&text).unwrap();
    let unsized_frame = unsized_frame.finish().unwrap();
    assert!(
        decompress(Codec::Zstd, &[sized, bulk, unsized_frame].concat()).unwrap()
            == [&text[..1000], &text, &text].concat()
    );
}

#[test]
fn zstd_is_read_by_another_entry_point() {
    for len in [0, 10, 100_000, 1_000_000] {
        let text = text(len);
        let frame = compress(Codec::Zstd, None, &[&text]);
        assert!(::zstd::decode_all(frame.as_slice()).unwrap() == text, "{len}");
    }
}

proptest! {
    #[test]
    fn arbitrary_pieces_come_back(
        pieces in prop::collection::vec((any::<[u8; 4]>(), 0usize..20_000), 0..12),
        codec in prop::sample::select(CODECS.to_vec()),
    ) {
        let pieces: Vec<Vec<u8>> = pieces.into_iter().map(|(bytes, len)| {
            bytes.into_iter().cycle().take(len).collect()
        }).collect();
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(decompress(codec, &compress(codec, None, &pieces)), Ok(pieces.concat()));
    }

    #[test]
    fn damage_and_noise_never_panic(
        noise in prop::collection::vec(any::<u8>(), 0..300),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        codec in prop::sample::select(CODECS.to_vec()),
    ) {
        let mut decompressor = Decompressor::default();
        let _ = decompressor.whole(codec, &noise, 100_000);
        let mut damaged = compress(codec, None, &[&text(3_000), &noise]);
        for (index, byte) in flips {
            let at = index.index(damaged.len());
            damaged[at] = byte;
        }
        if let Ok(bytes) = decompressor.whole(codec, &damaged, 100_000) {
            prop_assert!(bytes.len() <= 100_000);
        }
    }
}
