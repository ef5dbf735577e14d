use proptest::prelude::*;

use super::*;

/// A folder of its own for each test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("foliot-files-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn names(&self) -> Vec<OsString> {
        fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// A file of this header and that many bytes of data.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(vec![0; data]);
    bytes
}

fn load_bytes(folder: &Folder, bytes: &[u8]) -> Result<Contents> {
    let path = folder.path("bytes");
    fs::write(&path, bytes).unwrap();
    load(&path)
}

#[test]
fn bytes_are_those_of_the_format() {
    let folder = Folder::new("format");
    let path = folder.path("model");
    let values = [1.0, -2.5, f32::NAN];
    let tensors = [
        ("b".to_owned(), vec![1, 2], &values[..2]),
        ("a".to_owned(), vec![], &values[2..]),
        ("c".to_owned(), vec![0], &[][..]),
    ];
    save(&path, &tensors, &strings(&[("z", "last"), ("config", "{\"x\": 1}")])).unwrap();
    let header = concat!(
        r#"{"__metadata__":{"config":"{\"x\": 1}","z":"last"},"#,
        r#""b":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"#,
        r#""a":{"dtype":"F32","shape":[],"data_offsets":[8,12]},"#,
        r#""c":{"dtype":"F32","shape":[0],"data_offsets":[12,12]}}"#
    );
    let mut expected = file(&format!("{header:<width$}", width = header.len().next_multiple_of(8)), 0);
    expected.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    assert_eq!(fs::read(&path).unwrap(), expected);
    // Another reader of the format agrees.
    let other = safetensors::SafeTensors::deserialize(&expected).unwrap();
    assert_eq!(other.tensor("b").unwrap().shape(), [1, 2]);

    let (loaded, metadata) = load(&path).unwrap();
    assert_eq!(
        loaded.iter().map(|(name, shape, _)| (name.as_str(), shape.clone())).collect::<Vec<_>>(),
        [("b", vec![1, 2]), ("a", vec![]), ("c", vec![0])]
    );
    assert_eq!(loaded[0].2, values[..2]);
    assert_eq!(loaded[1].2[0].to_bits(), values[2].to_bits());
    assert_eq!(metadata, strings(&[("config", "{\"x\": 1}"), ("z", "last")]));
}

#[test]
fn a_file_is_replaced_whole_or_not_at_all() {
    let folder = Folder::new("replace");
    let path = folder.path("model");
    let save_values = |values: &[f32]| save(&path, &[("w".to_owned(), vec![values.len()], values)], &BTreeMap::new());
    save_values(&[1.0; 5]).unwrap();
    save_values(&[2.0; 3]).unwrap();
    assert_eq!(load(&path).unwrap().0[0].2, [2.0; 3]);
    assert_eq!(folder.names(), ["model"]);

    // A folder of that name cannot be replaced by a file: the temporary file goes away again.
    let blocked = folder.path("folder");
    fs::create_dir(&blocked).unwrap();
    fs::write(blocked.join("inside"), "kept").unwrap();
    assert!(matches!(save(&blocked, &[], &BTreeMap::new()), Err(Error::Io { .. })));
    assert_eq!(fs::read(blocked.join("inside")).unwrap(), b"kept");
    let mut names = folder.names();
    names.sort();
    assert_eq!(names, ["folder", "model"]);

    assert!(matches!(save(&folder.path("no/such/folder"), &[], &BTreeMap::new()), Err(Error::Io { .. })));
    assert!(matches!(save(Path::new("/"), &[], &BTreeMap::new()), Err(Error::Io { .. })));
    assert!(matches!(save(Path::new(""), &[], &BTreeMap::new()), Err(Error::Io { .. })));
}

#[test]
fn what_could_not_be_loaded_is_not_saved() {
    let folder = Folder::new("refuse");
    let path = folder.path("model");
    let refuse = |tensors: &[(String, Vec<usize>, &[f32])], metadata: &BTreeMap<String, String>| {
        assert!(matches!(save(&path, tensors, metadata), Err(Error::Value { .. })));
    };
    let one = |name: &str, shape: &[usize]| (name.to_owned(), shape.to_vec(), &[1.0f32, 2.0][..]);
    let none = BTreeMap::new();
    refuse(&[one("a", &[2]), one("a", &[2])], &none);
    refuse(&[one("__metadata__", &[2])], &none);
    refuse(&[one("a", &[3])], &none);
    refuse(&[one("a", &[usize::MAX, 2])], &none);
    refuse(&[one("a", &[1, 1, 1, 1, 1, 1, 1, 1, 2])], &none);
    refuse(&[], &strings(&[("config", &"x".repeat(17 << 20))]));
    assert!(folder.names().is_empty());
}

#[test]
fn every_truncation_is_an_error() {
    let folder = Folder::new("truncate");
    let path = folder.path("model");
    let values: Vec<f32> = (0..6).map(|i| i as f32).collect();
    let tensors = [("a".to_owned(), vec![2, 2], &values[..4]), ("b".to_owned(), vec![2], &values[4..])];
    save(&path, &tensors, &strings(&[("config", "{}")])).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert!(load_bytes(&folder, &bytes).is_ok());
    for length in 0..bytes.len() {
        assert!(matches!(load_bytes(&folder, &bytes[..length]), Err(Error::File { .. })), "{length}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(matches!(load_bytes(&folder, &longer), Err(Error::File { .. })));
}

#[test]
fn a_flipped_bit_is_an_error_or_harmless() {
    let folder = Folder::new("flip");
    let path = folder.path("model");
    let values = [1.0, 2.0, 3.0, 4.0];
    save(&path, &[("a".to_owned(), vec![2, 2], &values)], &strings(&[("config", "{}")])).unwrap();
    let bytes = fs::read(&path).unwrap();
    let end = bytes.len() - 16;
    for bit in 0..8 * end {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match load_bytes(&folder, &flipped) {
            Err(Error::File { .. }) => {}
            // Another name, other metadata, or another shape of the same size; but the values are all there.
            Ok((tensors, _)) => {
                let [(_, shape, loaded)] = tensors.as_slice() else { panic!("bit {bit}: {tensors:?}") };
                assert_eq!((shape.iter().product(), loaded.as_slice()), (4, &values[..]), "bit {bit}");
            }
            Err(error) => panic!("bit {bit}: {error}"),
        }
    }
}

#[test]
fn bad_files_are_errors() {
    let folder = Folder::new("corpus");
    let info = |dtype: &str, shape: &str, start: u64, end: u64| {
        format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    };
    let one = |text: &str| format!(r#"{{"a":{text}}}"#);
    let two = |a: &str, b: &str| format!(r#"{{"a":{a},"b":{b}}}"#);
    let corpus = [
        // A declared length far beyond the file, and one beyond the cap.
        ("declared", u64::MAX.to_le_bytes().to_vec()),
        ("declared", [&(1u64 << 40).to_le_bytes()[..], b"{}"].concat()),
        ("16 MiB", [&((16u64 << 20) + 1).to_le_bytes()[..], &vec![b' '; (16 << 20) + 1]].concat()),
        ("too few", vec![]),
        // Not JSON, not an object, not UTF-8, deeply nested.
        ("not valid", file("", 0)),
        ("not valid", file("[]", 0)),
        ("not valid", file("{} {}", 0)),
        ("not valid", [&2u64.to_le_bytes()[..], &[0xFF, 0xFE]].concat()),
        ("not valid", file(&one(&"[".repeat(100_000)), 0)),
        // Shapes and offsets that lie about each other or about the file.
        ("not valid", file(&one(&info("F32", "[3]", 0, 8)), 8)),
        ("not valid", file(&one(&info("F32", "[2]", 0, 9)), 9)),
        ("not valid", file(&one(&info("F32", "[2]", 8, 0)), 8)),
        ("not valid", file(&one(&info("F32", "[2]", 4, 12)), 12)),
        ("not valid", file(&one(&info("F32", "[-1]", 0, 8)), 8)),
        ("not valid", file(&one(&info("F32", "[1e30]", 0, 8)), 8)),
        ("not valid", file(&one(&info("F32", "[4294967296,4294967296,4]", 0, 0)), 0)),
        ("not valid", file(&one(&info("F32", "[18446744073709551615]", 0, 8)), 8)),
        ("bytes but 8 follow", file(&one(&info("F32", "[1099511627776]", 0, 4 << 40)), 8)),
        ("bytes but 12 follow", file(&one(&info("F32", "[2]", 0, 8)), 12)),
        ("bytes but 4 follow", file("{}", 4)),
        // An overlap and a hole.
        ("not valid", file(&two(&info("F32", "[2]", 0, 8), &info("F32", "[2]", 4, 12)), 12)),
        ("not valid", file(&two(&info("F32", "[2]", 0, 8), &info("F32", "[2]", 0, 8)), 8)),
        ("not valid", file(&two(&info("F32", "[1]", 0, 4), &info("F32", "[1]", 8, 12)), 12)),
        // Other types and shapes than foliot writes.
        ("expected dtype F32; received F64", file(&one(&info("F64", "[1]", 0, 8)), 8)),
        ("expected dtype F32; received I64", file(&one(&info("I64", "[1]", 0, 8)), 8)),
        ("not valid", file(&one(&info("F33", "[1]", 0, 8)), 8)),
        ("at most 8 axes", file(&one(&info("F32", "[1,1,1,1,1,1,1,1,1]", 0, 4)), 4)),
        ("at most 8 axes", file(&one(&info("F32", &format!("[{}1]", "1,".repeat(100_000)), 0, 4)), 4)),
        // What a map would keep the last of.
        ("`a` appears twice", file(&two(&info("F32", "[1]", 0, 4), "1").replace("\"b\":1", "\"a\":{}"), 4)),
        ("`__metadata__` appears twice", file(r#"{"__metadata__":{},"__metadata__":{}}"#, 0)),
        ("`k` appears twice", file(r#"{"__metadata__":{"k":"1","k":"2"}}"#, 0)),
        // Metadata are strings.
        ("not valid", file(r#"{"__metadata__":{"k":1}}"#, 0)),
        ("not valid", file(r#"{"__metadata__":null}"#, 0)),
        // Missing parts.
        ("not valid", file(r#"{"a":{"dtype":"F32","shape":[1]}}"#, 4)),
        ("not valid", file(r#"{"a":null}"#, 4)),
    ];
    for (index, (reason, bytes)) in corpus.iter().enumerate() {
        match load_bytes(&folder, bytes) {
            Err(error @ Error::File { .. }) => {
                assert!(error.to_string().contains(reason), "{index}: {error} does not say {reason}");
            }
            other => panic!("{index} ({reason}): {other:?}"),
        }
    }
    let many: Vec<String> = (0..=MAX_TENSORS).map(|i| format!("\"{i}\":{}", info("F32", "[0]", 0, 0))).collect();
    let error = load_bytes(&folder, &file(&format!("{{{}}}", many.join(",")), 0)).unwrap_err().to_string();
    assert!(error.contains("more than 100000 tensors"), "{error}");
}

#[test]
fn what_is_no_file_is_an_error() {
    let folder = Folder::new("kinds");
    assert!(matches!(load(&folder.path("missing")), Err(Error::Io { .. })));
    assert!(matches!(load(&folder.0), Err(Error::File { .. })));
    #[cfg(unix)]
    {
        let pipe = folder.path("pipe");
        let name = std::ffi::CString::new(pipe.to_str().unwrap()).unwrap();
        // SAFETY: `name` is a string that ends in a zero byte and outlives the call.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        assert!(matches!(load(&pipe), Err(Error::File { .. })));
    }
}

fn tensor() -> impl Strategy<Value = (Vec<usize>, Vec<u32>)> {
    proptest::collection::vec(0usize..4, 0..4).prop_flat_map(|shape| {
        let count: usize = shape.iter().product();
        // Bits, so that NaNs with any payload, infinities and denormals come along.
        (Just(shape), proptest::collection::vec(any::<u32>(), count))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_saved_is_loaded_to_the_bit(
        tensors in proptest::collection::btree_map("[^\0]{0,12}", tensor(), 0..6),
        metadata in proptest::collection::btree_map(".{0,8}", ".{0,40}", 0..4),
    ) {
        let folder = Folder::new("round-trip");
        let path = folder.path("model");
        let values: Vec<Vec<f32>> = tensors.values().map(|(_, bits)| bits.iter().map(|&b| f32::from_bits(b)).collect()).collect();
        let saved: Vec<_> =
            tensors.iter().zip(&values).map(|((name, (shape, _)), v)| (name.clone(), shape.clone(), v.as_slice())).collect();
        save(&path, &saved, &metadata).unwrap();
        let first = fs::read(&path).unwrap();
        save(&path, &saved, &metadata).unwrap();
        prop_assert_eq!(first, fs::read(&path).unwrap());

        let (loaded, loaded_metadata) = load(&path).unwrap();
        prop_assert_eq!(loaded_metadata, metadata);
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let loaded: BTreeMap<_, _> = loaded.into_iter().map(|(name, shape, v)| (name, (shape, bits(&v)))).collect();
        prop_assert_eq!(loaded, tensors);
    }

    #[test]
    fn any_bytes_are_an_error_or_a_file(header in "[ -~]{0,60}", data in 0usize..20, bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let folder = Folder::new("any");
        for content in [bytes, file(&header, data)] {
            if let Err(error) = load_bytes(&folder, &content) {
                prop_assert!(matches!(error, Error::File { .. }), "{}", error);
            }
        }
    }
}
