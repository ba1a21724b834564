//! How long lists of indices are stored: by the differences of neighbours, modulo `2^32`, which are mostly the
//! same.

use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(indices: &[u32], serializer: S) -> Result<S::Ok, S::Error> {
    let before = std::iter::once(&0).chain(indices);
    let differences = indices.iter().zip(before);
    serializer.collect_seq(differences.map(|(x, before)| x.wrapping_sub(*before).cast_signed()))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<u32>, D::Error> {
    let differences = Vec::<i32>::deserialize(deserializer)?;
    let index = |last: &mut u32, difference: i32| {
        *last = last.wrapping_add(difference.cast_unsigned());
        Some(*last)
    };
    Ok(differences.into_iter().scan(0, index).collect())
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Indices(#[serde(with = "super")] Vec<u32>);

    #[test]
    fn indices_are_read_as_they_are_written() {
        for indices in [
            vec![],
            vec![5],
            vec![u32::MAX, 0, 1 << 31, 7, 7],
            (1000..2000).collect(),
        ] {
            let indices = Indices(indices);
            let written = postcard::to_allocvec(&indices).expect("plain data");
            assert_eq!(postcard::from_bytes(&written), Ok(indices));
        }
        let line = Indices((100_000..101_000).collect());
        let written = postcard::to_allocvec(&line).expect("plain data");
        assert!(written.len() < 1010, "{}", written.len());
    }
}
