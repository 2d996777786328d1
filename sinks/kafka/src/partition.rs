//! Which partition a key belongs to, exactly as Kafka's Java client has it, so that other producers of the same topic
//! agree with us.

/// The partition of a key among `count`: what `murmur2_random` of librdkafka and the Java client's default give.
#[must_use]
pub fn of_key(key: &[u8], count: i32) -> i32 {
    let positive = murmur2(key) & 0x7fff_ffff;
    i32::try_from(positive).unwrap_or(i32::MAX) % count.max(1)
}

/// MurmurHash2, 32 bits, with the seed that Kafka uses.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    #[allow(clippy::cast_possible_truncation, reason = "the hash is defined over the length modulo 2^32")]
    let mut hash = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = word.iter().rev().fold(0, |k: u32, &byte| k << 8 | u32::from(byte));
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0, |k: u32, &byte| k << 8 | u32::from(byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that Kafka's own tests of `Utils.murmur2` expect.
    #[test]
    fn hashes_as_the_java_client() {
        let check =
            |key: &str, expected: i32| assert_eq!(murmur2(key.as_bytes()), expected.cast_unsigned(), "{key}");
        check("21", -973_932_308);
        check("foobar", -790_332_482);
        check("a-little-bit-long-string", -985_981_536);
        check("a-little-bit-longer-string", -1_486_304_829);
        check("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971);
        check("abc", 479_470_107);
    }

    #[test]
    fn agrees_with_librdkafka() {
        for length in 0..50_usize {
            let key: Vec<u8> = (0..length).map(|i| u8::try_from((i * 37 + length) % 256).unwrap()).collect();
            for count in [1, 2, 3, 7, 100] {
                // SAFETY: the key is valid for its length, and this partitioner reads nothing else.
                let theirs = unsafe {
                    rdkafka::bindings::rd_kafka_msg_partitioner_murmur2(
                        std::ptr::null(),
                        key.as_ptr().cast(),
                        key.len(),
                        count,
                        std::ptr::null_mut(),
                        std::ptr::null_mut(),
                    )
                };
                assert_eq!(of_key(&key, count), theirs, "{length} bytes, {count} partitions");
            }
        }
    }
}
