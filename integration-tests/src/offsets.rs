//! The offsets that Debezium would leave behind, in a file as Connect and Debezium Server have it.

/// A serialised `HashMap<byte[], byte[]>` of one entry, as Kafka's `FileOffsetBackingStore` writes it.
#[must_use]
pub fn file(key: &str, value: &str) -> Vec<u8> {
    // Up to where the length of the first key stands.
    let mut file = include_bytes!("../debezium/offsets/insert.dat")[..100].to_vec();
    let length = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    file.extend(length(key));
    file.extend(key.as_bytes());
    file.extend(b"uq\x00\x7e\x00\x02");
    file.extend(length(value));
    file.extend(value.as_bytes());
    file.push(b'x');
    file
}

/// The key of Debezium Server's entry for a `topic.prefix`.
#[must_use]
pub fn key(prefix: &str) -> String {
    format!("[\"kafka\",{{\"server\":\"{prefix}\"}}]")
}
