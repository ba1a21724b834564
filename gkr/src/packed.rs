//! Bytes of keys, deflated: tables of smooth functions, of which layers have some of nearly the same, take a
//! tenth of the room.
//!
//! The first byte says how the rest is to be read. Nothing larger than [`MAX_INFLATED`] is deflated, so that a
//! few hostile bytes ask for no more memory.

use crate::error::FileError;
use flate2::Compression;
use flate2::bufread::{DeflateDecoder, DeflateEncoder};
use std::io::Read;

/// Bytes that may come of a file of any length, if it does not hold as many.
const MAX_INFLATED: usize = 16 << 20;

/// How bytes are packed.
const AS_THEY_ARE: u8 = 0;
const DEFLATED: u8 = 1;

/// Bytes with what says how to read them.
pub(crate) fn pack(bytes: &[u8]) -> Vec<u8> {
    let plain = || [&[AS_THEY_ARE], bytes].concat();
    if bytes.len() > MAX_INFLATED {
        return plain();
    }
    let mut packed = vec![DEFLATED];
    let deflated = DeflateEncoder::new(bytes, Compression::best()).read_to_end(&mut packed);
    match deflated {
        Ok(length) if length < bytes.len() => packed,
        _ => plain(),
    }
}

/// The bytes that were packed.
///
/// # Errors
/// They are too many, or the packed ones end early or late.
pub(crate) fn unpack(packed: &[u8]) -> Result<Vec<u8>, FileError> {
    let malformed = |reason: &str| FileError::Malformed(reason.into());
    match packed.split_first() {
        Some((&AS_THEY_ARE, bytes)) => Ok(bytes.to_vec()),
        Some((&DEFLATED, deflated)) => {
            let mut bytes = vec![];
            let mut decoder = DeflateDecoder::new(deflated);
            // One more than there may be.
            let limit = u64::try_from(MAX_INFLATED).map_or(u64::MAX, |limit| limit + 1);
            let read = decoder.by_ref().take(limit).read_to_end(&mut bytes);
            read.map_err(|e| malformed(&format!("deflated bytes: {e}")))?;
            if bytes.len() > MAX_INFLATED {
                return Err(malformed("more than 16 MiB are deflated"));
            }
            if !decoder.into_inner().is_empty() {
                return Err(malformed("bytes are left after the deflated ones"));
            }
            Ok(bytes)
        }
        _ => Err(malformed("neither deflated nor plain")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        let smooth: Vec<u8> = (0..50_000u32).map(|x| (x / 300) as u8).collect();
        let mut state = 1u32;
        let rough = (0..5000).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let rough: Vec<u8> = rough.collect();
        assert!(pack(&smooth).len() < 1000);
        assert_eq!(pack(&rough).len(), rough.len() + 1);
        for bytes in [smooth, rough, vec![], vec![7]] {
            let packed = pack(&bytes);
            assert_eq!(unpack(&packed), Ok(bytes));
            for cut in [0, packed.len() / 2, packed.len() - 1] {
                assert_ne!(unpack(&packed[..cut]), unpack(&packed));
            }
        }
        assert!(unpack(&[]).is_err());
        assert!(unpack(&[2, 0]).is_err());
        let mut longer = pack(&[0; 100]);
        assert_eq!(longer[0], DEFLATED);
        longer.push(0);
        assert!(unpack(&longer).is_err());
    }

    #[test]
    fn few_bytes_do_not_become_many() {
        let mut bomb = vec![DEFLATED];
        let zeros = std::io::repeat(0).take(2 * MAX_INFLATED as u64);
        let zeros = std::io::BufReader::new(zeros);
        let made = DeflateEncoder::new(zeros, Compression::best()).read_to_end(&mut bomb);
        assert!(made.expect("deflates") < 1 << 16);
        assert!(unpack(&bomb).is_err());
        let large = vec![0; MAX_INFLATED + 1];
        let packed = pack(&large);
        assert_eq!(packed.len(), large.len() + 1);
        assert_eq!(unpack(&packed), Ok(large));
    }
}
