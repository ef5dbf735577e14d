//! Weight files: safetensors, with strings as metadata. Such a file is data and nothing else: it names no code, no import
//! and no other file.
//!
//! [`save`] writes to a temporary file beside the target and renames it, so that a reader sees the old file or the new
//! one, whole. [`load`] trusts nothing: sizes are checked against the length of the file before anything of that size is
//! allocated, and every tensor has to lie where the format says.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use crate::{Error, Result};

/// The bytes before the header: its length, as a little-endian u64.
const PREFIX: usize = 8;
/// The longest header; a model's description takes kilobytes.
const MAX_HEADER: u64 = 16 << 20;
/// The most tensors in a file.
const MAX_TENSORS: usize = 100_000;
/// The most axes of a tensor.
const MAX_RANK: usize = 8;
/// The key of the header that is no tensor.
const METADATA: &str = "__metadata__";

/// A tensor from a file: its name, shape and values in row-major order.
pub type Tensor = (String, Vec<usize>, Vec<f32>);

/// The tensors of a file, in the order of their bytes, and its metadata.
pub type Contents = (Vec<Tensor>, BTreeMap<String, String>);

/// Writes tensors and metadata to a file, which is replaced if it exists. The same content gives the same bytes.
///
/// # Errors
/// [`Error::Value`] for a name that appears twice or is reserved, a shape that does not fit its values, or more than a file
/// may hold; [`Error::Io`] when the file cannot be written. The target is then as it was before.
pub fn save(path: &Path, tensors: &[(String, Vec<usize>, &[f32])], metadata: &BTreeMap<String, String>) -> Result<()> {
    let header = header(tensors, metadata)?;
    let failed = |source| Error::Io { path: path.to_owned(), source };
    let (temporary, file) = create_beside(path).map_err(failed)?;
    let written = write(file, &header, tensors).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // The first error is the one to report; that a file in the way cannot be removed either says no more.
        drop(fs::remove_file(&temporary));
        return Err(failed(error));
    }
    sync_folder(path).map_err(failed)
}

/// Reads what [`save`] or another writer of safetensors wrote; the tensors come in the order of the file.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read, [`Error::File`] when it is not a whole safetensors file of f32 tensors.
pub fn load(path: &Path) -> Result<Contents> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let bad = |reason: String| Error::File { path: path.to_owned(), reason };
    // Asked before the file is opened: to open a pipe would wait for a writer.
    if !fs::metadata(path).map_err(io)?.is_file() {
        return Err(bad("expected a file".to_owned()));
    }
    let mut file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let truncated = |source: io::Error| match source.kind() {
        io::ErrorKind::UnexpectedEof => bad("the file became shorter while it was read".to_owned()),
        _ => io(source),
    };

    if length < PREFIX as u64 {
        return Err(bad(format!("{length} bytes are too few for a safetensors file")));
    }
    let mut prefix = [0; PREFIX];
    file.read_exact(&mut prefix).map_err(truncated)?;
    let header_length = u64::from_le_bytes(prefix);
    let rest = length - PREFIX as u64;
    if header_length > rest.min(MAX_HEADER) {
        let limit = "of which a header may take 16 MiB";
        return Err(bad(format!("a header of {header_length} bytes is declared in a file of {length} bytes, {limit}")));
    }
    let mut header = vec![0; header_length as usize];
    file.read_exact(&mut header).map_err(truncated)?;
    let Header { tensors, metadata } = parse(&header, rest - header_length).map_err(bad)?;

    let mut loaded = Vec::with_capacity(tensors.len());
    for (name, info) in tensors {
        let (start, end) = info.data_offsets;
        loaded.push((name, info.shape, read_values(&mut file, (end - start) / size_of::<f32>()).map_err(truncated)?));
    }
    Ok((loaded, metadata))
}

/// The header's content: tensors in the order of their bytes, without gaps or overlaps, that fill `data_length` bytes.
fn parse(header: &[u8], data_length: u64) -> std::result::Result<Header, String> {
    let Header { mut tensors, metadata } =
        serde_json::from_slice(header).map_err(|error| format!("the header is not valid: {error}"))?;
    for (name, info) in &tensors {
        if info.dtype != Dtype::F32 {
            return Err(format!("tensor `{name}`: expected dtype F32; received {:?}", info.dtype));
        }
        if info.shape.len() > MAX_RANK {
            return Err(format!("tensor `{name}`: expected at most {MAX_RANK} axes; received {}", info.shape.len()));
        }
    }
    // A tensor without elements may share its offset with others: the end tells which comes first.
    tensors.sort_by(|(a_name, a), (b_name, b)| a.data_offsets.cmp(&b.data_offsets).then_with(|| a_name.cmp(b_name)));
    let layout = Metadata::new(None, tensors.clone()).map_err(|error| format!("the header is not valid: {error}"))?;
    if layout.data_len() as u64 != data_length {
        let declared = layout.data_len();
        return Err(format!("the tensors take {declared} bytes but {data_length} follow the header"));
    }
    Ok(Header { tensors, metadata })
}

/// The header as JSON. A key that appears twice is refused, where a map would silently keep the last.
struct Header {
    tensors: Vec<(String, TensorInfo)>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Header, A::Error> {
                let mut tensors = Vec::new();
                let mut metadata = None;
                let mut names = BTreeSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format!("`{name}` appears twice")));
                    }
                    if name == METADATA {
                        metadata = Some(map.next_value::<Strings>()?.0);
                    } else if tensors.len() == MAX_TENSORS {
                        return Err(A::Error::custom(format!("more than {MAX_TENSORS} tensors")));
                    } else {
                        tensors.push((name, map.next_value()?));
                    }
                }
                Ok(Header { tensors, metadata: metadata.unwrap_or_default() })
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

/// The metadata of a header.
struct Strings(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Strings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Strings;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Strings, A::Error> {
                let mut strings = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    if strings.contains_key(&key) {
                        return Err(A::Error::custom(format!("`{key}` appears twice in `{METADATA}`")));
                    }
                    strings.insert(key, value);
                }
                Ok(Strings(strings))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

fn read_values(file: &mut File, count: usize) -> io::Result<Vec<f32>> {
    // One buffer of fixed size on the way: what is allocated are the tensors themselves, no longer than the file.
    let mut bytes = [0; 1 << 14];
    let mut values = Vec::with_capacity(count);
    while values.len() < count {
        let chunk = &mut bytes[..(size_of::<f32>() * (count - values.len())).min(1 << 14)];
        file.read_exact(chunk)?;
        let (words, _) = chunk.as_chunks();
        values.extend(words.iter().map(|&word| f32::from_le_bytes(word)));
    }
    Ok(values)
}

/// The bytes before the data, or what would make a file that [`load`] refuses.
fn header(tensors: &[(String, Vec<usize>, &[f32])], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    if tensors.len() > MAX_TENSORS {
        return Err(Error::value("tensors", format!("at most {MAX_TENSORS}"), tensors.len().to_string()));
    }
    let mut names = BTreeSet::new();
    let mut entries = serde_json::Map::new();
    if !metadata.is_empty() {
        entries.insert(METADATA.to_owned(), json(metadata)?);
    }
    let mut start = 0;
    for (name, shape, values) in tensors {
        if name == METADATA || !names.insert(name) {
            let expected = format!("names that differ from one another and from {METADATA}");
            return Err(Error::value("tensors", expected, format!("`{name}`")));
        }
        let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
        if count != Some(values.len()) || shape.len() > MAX_RANK {
            let expected = format!("a shape of {} values and at most {MAX_RANK} axes for `{name}`", values.len());
            return Err(Error::value("tensors", expected, format!("{shape:?}")));
        }
        let end = start + size_of_val(*values);
        let info = TensorInfo { dtype: Dtype::F32, shape: shape.clone(), data_offsets: (start, end) };
        entries.insert(name.clone(), json(&info)?);
        start = end;
    }
    let mut text = serde_json::Value::Object(entries).to_string().into_bytes();
    // Spaces up to a multiple of eight keep the values aligned in a mapped file.
    text.resize(text.len().next_multiple_of(8), b' ');
    if text.len() as u64 > MAX_HEADER {
        return Err(Error::value("metadata", "a header of at most 16 MiB", format!("{} bytes", text.len())));
    }
    let mut header = (text.len() as u64).to_le_bytes().to_vec();
    header.extend(text);
    Ok(header)
}

fn json(value: &impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|error| Error::value("metadata", "content for JSON", error.to_string()))
}

fn write(file: File, header: &[u8], tensors: &[(String, Vec<usize>, &[f32])]) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 16, file);
    file.write_all(header)?;
    for (_, _, values) in tensors {
        for value in *values {
            file.write_all(&value.to_le_bytes())?;
        }
    }
    // On disk before the rename, or a crash could leave the new name with nothing in it.
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// A new file in the same folder, so that a rename need not cross a file system.
fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file"));
    };
    loop {
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.{}.tmp", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)));
        let temporary = path.with_file_name(temporary);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            // Left behind by a process of the same number that was killed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result.map(|file| (temporary, file)),
        }
    }
}

/// Puts the rename itself on disk.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Elsewhere a folder cannot be opened; the system orders the rename by itself.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature on every system")]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
