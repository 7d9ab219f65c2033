//! The journal's bytes.
//!
//! The file is [`MAGIC`] and then frames: length of the payload (u32, little endian), its CRC-32C
//! (u32, little endian), payload. A payload is the changes of one transaction, each a tag and its
//! fields; texts and byte strings have a u32 length in front.

use std::io;

use karvan_system::DiskFile;
use karvan_types::Digest;

use super::state::Change;
use crate::{Error, Row, Value};

/// How every journal begins: its name and the version of this layout.
pub(super) const MAGIC: &[u8] = b"KVNJRNL1";
/// Longest payload, and so largest transaction, in bytes (64 MiB).
const PAYLOAD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Length and checksum.
const HEAD_BYTES: u64 = 8;

/// Returns the frame of a transaction; `None` when it changed nothing.
pub(super) fn encode<'a>(
    changes: impl Iterator<Item = &'a Change>,
) -> Result<Option<Vec<u8>>, Error> {
    let mut payload = Vec::new();
    for change in changes {
        write_change(&mut payload, change);
    }
    if payload.is_empty() {
        return Ok(None);
    }
    let too_large = Error::TooLarge {
        what: "a transaction",
        bytes: payload.len() as u64,
        bytes_max: PAYLOAD_BYTES_MAX as u64,
    };
    let len = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= PAYLOAD_BYTES_MAX);
    let len = len.ok_or(too_large)?;
    let mut frame = Vec::with_capacity(payload.len() + 8);
    frame.extend_from_slice(&len.to_le_bytes());
    frame.extend_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
    frame.append(&mut payload);
    Ok(Some(frame))
}

fn write_change(out: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Put(table, row) => {
            out.push(b'P');
            write_bytes(out, table.as_bytes());
            write_value(out, &row.key);
            write_len(out, row.columns.len());
            row.columns.iter().for_each(|column| write_value(out, column));
            write_bytes(out, &row.body);
        }
        Change::Delete(table, key) => {
            out.push(b'D');
            write_bytes(out, table.as_bytes());
            write_value(out, key);
        }
        Change::Number(name, value) => {
            out.push(b'N');
            write_bytes(out, name.as_bytes());
            out.extend_from_slice(&value.to_le_bytes());
        }
        Change::Migration(id, digest) => {
            out.push(b'M');
            write_bytes(out, id.as_bytes());
            out.extend_from_slice(digest.as_bytes());
        }
    }
}

fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(0),
        Value::Int(number) => {
            out.push(1);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Text(text) => {
            out.push(2);
            write_bytes(out, text.as_bytes());
        }
        Value::Bytes(bytes) => {
            out.push(3);
            write_bytes(out, bytes);
        }
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn write_len(out: &mut Vec<u8>, len: usize) {
    // Longer than u32 means longer than `PAYLOAD_BYTES_MAX`, so the frame is refused anyway.
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

/// Reads every good frame. Returns where the last one ends and their changes in order.
///
/// A bad frame with a good one right behind it was not torn by a crash: that is damage, refused
/// with [`io::ErrorKind::InvalidData`].
pub(super) fn read_all(file: &dyn DiskFile) -> io::Result<(u64, Vec<Change>)> {
    let len = file.len()?;
    let mut magic = [0; MAGIC.len()];
    file.read_at(0, &mut magic)?;
    if magic != MAGIC {
        return Err(damage("this is not a journal of a layout that this version knows"));
    }
    let mut offset = MAGIC.len() as u64;
    let mut changes = Vec::new();
    while let Some(head) = read_head(file, offset, len)? {
        if let Some(payload) = read_payload(file, offset, head)? {
            decode(&payload, &mut changes)
                .ok_or_else(|| damage("a frame holds changes that cannot be read"))?;
            offset += HEAD_BYTES + u64::from(head.len);
            continue;
        }
        let behind = offset + HEAD_BYTES + u64::from(head.len);
        let next = read_head(file, behind, len)?;
        if let Some(next) = next
            && read_payload(file, behind, next)?.is_some()
        {
            return Err(damage("a frame in the middle is damaged; restore a backup"));
        }
        break;
    }
    Ok((offset, changes))
}

fn damage(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[derive(Clone, Copy)]
struct Head {
    len: u32,
    checksum: u32,
}

/// Reads the head of a frame that fits into the file.
fn read_head(file: &dyn DiskFile, offset: u64, file_len: u64) -> io::Result<Option<Head>> {
    if offset + HEAD_BYTES > file_len {
        return Ok(None);
    }
    let (mut len, mut checksum) = ([0; 4], [0; 4]);
    file.read_at(offset, &mut len)?;
    file.read_at(offset + 4, &mut checksum)?;
    let head = Head { len: u32::from_le_bytes(len), checksum: u32::from_le_bytes(checksum) };
    let fits = head.len as usize <= PAYLOAD_BYTES_MAX
        && offset + HEAD_BYTES + u64::from(head.len) <= file_len;
    // No frame is empty; zeroes are what a crash leaves of one.
    Ok(Some(head).filter(|head| fits && head.len > 0))
}

fn read_payload(file: &dyn DiskFile, offset: u64, head: Head) -> io::Result<Option<Vec<u8>>> {
    let mut payload = vec![0; head.len as usize];
    file.read_at(offset + HEAD_BYTES, &mut payload)?;
    Ok(Some(payload).filter(|payload| crc32c::crc32c(payload) == head.checksum))
}

fn decode(mut bytes: &[u8], changes: &mut Vec<Change>) -> Option<()> {
    let bytes = &mut bytes;
    while let Some((tag, rest)) = bytes.split_first() {
        *bytes = rest;
        let name = read_text(bytes)?;
        changes.push(match tag {
            b'P' => {
                let key = read_value(bytes)?;
                let mut columns = Vec::new();
                for _ in 0..read_len(bytes)? {
                    columns.push(read_value(bytes)?);
                }
                let len = read_len(bytes)?;
                let body = bytes.split_off(..len)?.to_vec();
                Change::Put(name.into(), Row { key, columns, body })
            }
            b'D' => Change::Delete(name.into(), read_value(bytes)?),
            b'N' => Change::Number(name, u64::from_le_bytes(read_array(bytes)?)),
            b'M' => Change::Migration(name, Digest(read_array(bytes)?)),
            _ => return None,
        });
    }
    Some(())
}

fn read_value(bytes: &mut &[u8]) -> Option<Value> {
    match read_array(bytes)? {
        [0] => Some(Value::Null),
        [1] => Some(Value::Int(i64::from_le_bytes(read_array(bytes)?))),
        [2] => Some(Value::Text(read_text(bytes)?)),
        [3] => {
            let len = read_len(bytes)?;
            Some(Value::Bytes(bytes.split_off(..len)?.to_vec()))
        }
        _ => None,
    }
}

fn read_text(bytes: &mut &[u8]) -> Option<String> {
    let len = read_len(bytes)?;
    String::from_utf8(bytes.split_off(..len)?.to_vec()).ok()
}

fn read_len(bytes: &mut &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(read_array(bytes)?)).ok()
}

fn read_array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    bytes.split_off(..N)?.try_into().ok()
}
