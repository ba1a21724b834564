//! Bytes of keys, deflated: tables of smooth functions, of which layers have some of nearly the same, take a
//! tenth of the room.
//!
//! The first byte says how the rest is to be read. Of a few hostile bytes may not come many ([`most`]): what
//! deflates better than that is left as it is.

use crate::error::FileError;
use flate2::Compression;
use flate2::bufread::{DeflateDecoder, DeflateEncoder};
use std::borrow::Cow;
use std::io::Read;

/// Bytes that may come of any number of others: keys without public weights are smaller.
const MAX_INFLATED: usize = 16 << 20;

/// Bytes that may come of one. A key with a dozen layers' tables has 14 for each.
const MAX_RATIO: usize = 64;

/// Bytes that may come of none.
const MIN_INFLATED: usize = 1 << 16;

/// How many bytes may come of so many.
fn most(deflated: usize) -> usize {
    let most = deflated.saturating_mul(MAX_RATIO);
    most.saturating_add(MIN_INFLATED).min(MAX_INFLATED)
}

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
        Ok(length) if length < bytes.len() && bytes.len() <= most(length) => packed,
        _ => plain(),
    }
}

/// The bytes that were packed.
///
/// # Errors
/// They are too many, or the packed ones end early or late.
pub(crate) fn unpack(packed: &[u8]) -> Result<Cow<'_, [u8]>, FileError> {
    let malformed = |reason: &str| FileError::Malformed(reason.into());
    match packed.split_first() {
        Some((&AS_THEY_ARE, bytes)) => Ok(Cow::Borrowed(bytes)),
        Some((&DEFLATED, deflated)) => {
            let mut bytes = vec![];
            let mut decoder = DeflateDecoder::new(deflated);
            let most = most(deflated.len());
            // One more than there may be.
            let limit = u64::try_from(most).map_or(u64::MAX, |most| most.saturating_add(1));
            let read = decoder.by_ref().take(limit).read_to_end(&mut bytes);
            read.map_err(|e| malformed(&format!("deflated bytes: {e}")))?;
            if bytes.len() > most {
                return Err(malformed("more bytes than may be deflated"));
            }
            if !decoder.into_inner().is_empty() {
                return Err(malformed("bytes are left after the deflated ones"));
            }
            Ok(Cow::Owned(bytes))
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
            assert_eq!(unpack(&packed), Ok(Cow::Owned(bytes)));
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
        for length in [1 << 18, MAX_INFLATED + 1] {
            let zeros = vec![0; length];
            let packed = pack(&zeros);
            assert_eq!(packed.len(), length + 1, "as they are");
            assert_eq!(unpack(&packed), Ok(Cow::Owned(zeros)));
        }
    }
}
