//! Reads the one kind of serialised Java object that an offsets file is: a `HashMap` of byte arrays. Anything else in it
//! is an error. Pure.

use std::collections::BTreeMap;

const STREAM: [u8; 4] = [0xAC, 0xED, 0, 5];
const NULL: u8 = 0x70;
const REFERENCE: u8 = 0x71;
const CLASS: u8 = 0x72;
const OBJECT: u8 = 0x73;
const ARRAY: u8 = 0x75;
const BLOCK: u8 = 0x77;
const END: u8 = 0x78;
/// The number of the first thing that can be referred to.
const FIRST_HANDLE: u32 = 0x007E_0000;
/// `java.util.HashMap`: its name, version, flags (it writes itself), fields, the end of notes and no class above.
const MAP: &[u8] = b"\x00\x11java.util.HashMap\x05\x07\xda\xc1\xc3\x16\x60\xd1\x03\x00\x02\
F\x00\x0aloadFactorI\x00\x09threshold\x78\x70";
/// `byte[]`, likewise.
const BYTES: &[u8] = b"\x00\x02[B\xac\xf3\x17\xf8\x06\x08\x54\xe0\x02\x00\x00\x78\x70";

/// What the file holds; a key whose value is null is left out.
///
/// # Errors
/// What is not as it should be, and where.
pub(super) fn map_of_bytes(file: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, String> {
    let mut reader = Reader { file, at: 0, next_handle: FIRST_HANDLE, byte_array: None };
    reader.expect(&STREAM, "the mark of a serialised Java object")?;
    reader.expect(&[OBJECT, CLASS], "an object")?;
    reader.expect(MAP, "a java.util.HashMap")?;
    // The class and the map itself can be referred to.
    reader.next_handle += 2;
    reader.take(8)?;
    reader.expect(&[BLOCK, 8], "the map's size")?;
    reader.take(4)?;
    let size = reader.number()?;
    let mut map = BTreeMap::new();
    for _ in 0..size {
        let key = reader.bytes()?.ok_or("a key is null")?;
        if let Some(value) = reader.bytes()? {
            map.insert(key, value);
        }
    }
    reader.expect(&[END], "the map's end")?;
    if reader.at == file.len() {
        Ok(map)
    } else {
        Err(format!("something follows the map, at byte {}", reader.at))
    }
}

struct Reader<'f> {
    file: &'f [u8],
    at: usize,
    next_handle: u32,
    /// The number of the class `byte[]`, once it was described.
    byte_array: Option<u32>,
}

impl<'f> Reader<'f> {
    fn take(&mut self, length: usize) -> Result<&'f [u8], String> {
        let end = self.at.checked_add(length);
        let taken = end.and_then(|end| self.file.get(self.at..end));
        let taken = taken.ok_or_else(|| format!("it ends too early, at byte {}", self.file.len()))?;
        self.at += length;
        Ok(taken)
    }

    fn expect(&mut self, bytes: &[u8], what: &str) -> Result<(), String> {
        let at = self.at;
        if self.take(bytes.len())? == bytes { Ok(()) } else { Err(format!("{what} is not at byte {at}")) }
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    fn number(&mut self) -> Result<u32, String> {
        Ok(self.take(4)?.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// A byte array, or null.
    fn bytes(&mut self) -> Result<Option<Vec<u8>>, String> {
        let at = self.at;
        match self.byte()? {
            NULL => return Ok(None),
            ARRAY => {}
            other => return Err(format!("a byte array is not at byte {at}, but 0x{other:02X}")),
        }
        match (self.byte()?, self.byte_array) {
            (CLASS, None) => {
                self.expect(BYTES, "the class byte[]")?;
                self.byte_array = Some(self.next_handle);
                self.next_handle += 1;
            }
            (REFERENCE, Some(class)) if self.number()? == class => {}
            (_, _) => return Err(format!("an array of another class is at byte {at}")),
        }
        self.next_handle += 1;
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        Ok(Some(self.take(length)?.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Java writes of a map of these arrays.
    fn serialised(pairs: &[(&[u8], Option<&[u8]>)]) -> Vec<u8> {
        let mut file =
            [&STREAM, &[OBJECT, CLASS][..], MAP, &[0x3F, 0x40, 0, 0, 0, 0, 0, 12, BLOCK, 8, 0, 0, 0, 16]]
                .concat();
        file.extend(u32::try_from(pairs.len()).unwrap().to_be_bytes());
        let mut described = false;
        let mut array = |bytes: Option<&[u8]>| {
            let Some(bytes) = bytes else { return file.push(NULL) };
            file.push(ARRAY);
            if described {
                file.extend([REFERENCE, 0, 0x7E, 0, 2]);
            } else {
                file.push(CLASS);
                file.extend(BYTES);
            }
            described = true;
            file.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
            file.extend(bytes);
        };
        for (key, value) in pairs {
            array(Some(key));
            array(*value);
        }
        file.push(END);
        file
    }

    #[test]
    fn reads_a_map_of_byte_arrays_and_nothing_else() {
        let file = serialised(&[(b"a", Some(b"1")), (b"b", None), (b"c", Some(b""))]);
        let map = map_of_bytes(&file).unwrap();
        assert_eq!(map, BTreeMap::from([(b"a".to_vec(), b"1".to_vec()), (b"c".to_vec(), Vec::new())]));
        assert_eq!(map_of_bytes(&serialised(&[])), Ok(BTreeMap::new()));
        for length in 0..file.len() {
            assert!(map_of_bytes(&file[..length]).is_err(), "{length}");
        }
        assert!(map_of_bytes(&[file.as_slice(), b"x"].concat()).is_err());
        assert!(map_of_bytes(b"{}").is_err());
        // A huge length is no reason to ask for memory.
        let mut huge = file.clone();
        let end = huge.len() - 6;
        huge[end..end + 4].copy_from_slice(&[0xFF; 4]);
        assert!(map_of_bytes(&huge).is_err());
    }
}
