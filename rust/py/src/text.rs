//! Text preprocessing for `foliot.preprocessing`.
// PyO3 extracts array arguments by value: the guard keeps the borrow.
#![allow(clippy::needless_pass_by_value)]

use foliot_core::text::{self, Side, Weighting};
use foliot_core::{Error, threads};
use numpy::{Element, IntoPyArray, PyArray1, PyReadonlyArray1, PyReadwriteArray1, PyReadwriteArray2};
use pyo3::exceptions::PyUnicodeEncodeError;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::errors::to_python;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Splitter>()?;
    module.add_function(wrap_pyfunction!(lists_from_ids, module)?)?;
    module.add_function(wrap_pyfunction!(hash_words, module)?)?;
    module.add_function(wrap_pyfunction!(flatten_numbers, module)?)?;
    module.add_function(wrap_pyfunction!(pad_rows, module)?)?;
    module.add_function(wrap_pyfunction!(fill_matrix, module)?)
}

/// Cuts texts into words or characters.
#[pyclass(frozen, module = "foliot._core")]
struct Splitter {
    inner: text::Splitter,
}

type Counts<'py> = (Bound<'py, PyList>, Vec<u64>, Vec<u64>);
type Encoded<'py> = (Bound<'py, PyList>, Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<i64>>);

#[pymethods]
impl Splitter {
    #[new]
    fn new(
        filters: &Bound<'_, PyString>,
        lower: bool,
        split: Option<&Bound<'_, PyString>>,
        char_level: bool,
    ) -> PyResult<Self> {
        if char_level {
            return Ok(Self { inner: text::Splitter::characters(lower) });
        }
        let filters = utf8(filters, || "filters".to_owned())?;
        let split = split.map(|split| utf8(split, || "split".to_owned())).transpose()?;
        let inner = text::Splitter::words(filters, lower, split).map_err(to_python)?;
        Ok(Self { inner })
    }

    fn split(&self, text: &Bound<'_, PyString>) -> PyResult<Vec<String>> {
        Ok(self.inner.split(utf8(text, || "input_text".to_owned())?))
    }

    fn count<'py>(&self, texts: &Bound<'py, PyList>, first: usize) -> PyResult<Counts<'py>> {
        let py = texts.py();
        let strings = strings(texts)?;
        let borrowed = borrow(&strings, first)?;
        let counts = detach(py, || text::count(&borrowed, &self.inner))?;
        Ok((PyList::new(py, counts.words.iter())?, counts.counts, counts.documents))
    }

    fn encode<'py>(&self, texts: &Bound<'py, PyList>, first: usize) -> PyResult<Encoded<'py>> {
        let py = texts.py();
        let strings = strings(texts)?;
        let borrowed = borrow(&strings, first)?;
        let encoded = detach(py, || text::encode(&borrowed, &self.inner))?;
        let offsets: Vec<i64> = encoded.offsets.iter().map(|&offset| offset as i64).collect();
        Ok((PyList::new(py, encoded.words.iter())?, encoded.ids.into_pyarray(py), offsets.into_pyarray(py)))
    }
}

/// One list per row, of the objects in `items` that the ids name; `None` is left out.
#[pyfunction]
fn lists_from_ids<'py>(
    ids: PyReadonlyArray1<'py, u32>,
    offsets: PyReadonlyArray1<'py, i64>,
    items: &Bound<'py, PyList>,
) -> PyResult<Bound<'py, PyList>> {
    let py = items.py();
    let (ids, offsets) = (ids.as_slice()?, row_bounds(&offsets)?);
    let items: Vec<Option<Bound<'py, PyAny>>> =
        items.iter().map(|item| if item.is_none() { None } else { Some(item) }).collect();
    let bad = |what: &str| to_python(Error::value(what, "row bounds and places within `items`", "one beyond"));
    let mut kept: Vec<&Bound<'py, PyAny>> = Vec::new();
    let lists = PyList::empty(py);
    for bounds in offsets.windows(2) {
        let row = ids.get(bounds[0]..bounds[1]).ok_or_else(|| bad("offsets"))?;
        kept.clear();
        for &id in row {
            kept.extend(items.get(id as usize).ok_or_else(|| bad("ids"))?);
        }
        lists.append(PyList::new(py, &kept)?)?;
    }
    Ok(lists)
}

/// The places of `words` in `1..size` by a hash that is the same in every process.
#[pyfunction]
fn hash_words(words: &Bound<'_, PyList>, size: u64) -> PyResult<Vec<u64>> {
    let strings = strings(words)?;
    Ok(borrow(&strings, 0)?.into_iter().map(|word| text::hashing_index(word, size)).collect())
}

type Flat<'py> = (Bound<'py, PyAny>, Bound<'py, PyArray1<i64>>);

/// Lists or tuples of plain Python numbers as (values, offsets), of each at most `longest` numbers; longer ones lose some
/// at the side `truncating`. `None` when a row or element is anything else, or does not fit `dtype`: `numpy.asarray` then
/// decides.
#[pyfunction]
fn flatten_numbers<'py>(
    sequences: &Bound<'py, PyList>,
    dtype: &str,
    longest: usize,
    truncating: &str,
) -> PyResult<Option<Flat<'py>>> {
    let side = side("truncating", truncating)?;
    Ok(match dtype {
        "int8" => flatten(sequences, longest, side, integer::<i8>),
        "int16" => flatten(sequences, longest, side, integer::<i16>),
        "int32" => flatten(sequences, longest, side, integer::<i32>),
        "int64" => flatten(sequences, longest, side, integer::<i64>),
        "uint8" => flatten(sequences, longest, side, integer::<u8>),
        "uint16" => flatten(sequences, longest, side, integer::<u16>),
        "uint32" => flatten(sequences, longest, side, integer::<u32>),
        "uint64" => flatten(sequences, longest, side, integer::<u64>),
        "float32" => flatten(sequences, longest, side, single),
        "float64" => flatten(sequences, longest, side, double),
        _ => None,
    })
}

fn flatten<'py, T: Element>(
    sequences: &Bound<'py, PyList>,
    longest: usize,
    truncating: Side,
    read: impl Fn(&Bound<'py, PyAny>) -> Option<T>,
) -> Option<Flat<'py>> {
    let py = sequences.py();
    let mut values = Vec::new();
    let mut offsets = vec![0];
    let skipped = |length: usize| if truncating == Side::Pre { length.saturating_sub(longest) } else { 0 };
    let mut keep = |item: Bound<'py, PyAny>| read(&item).map(|value| values.push(value)).is_some();
    let mut length = 0;
    for row in sequences.iter() {
        let whole = if let Ok(row) = row.cast::<PyList>() {
            length += row.len().min(longest);
            row.iter().skip(skipped(row.len())).take(longest).all(&mut keep)
        } else if let Ok(row) = row.cast::<PyTuple>() {
            length += row.len().min(longest);
            row.iter().skip(skipped(row.len())).take(longest).all(&mut keep)
        } else {
            false
        };
        if !whole {
            return None;
        }
        offsets.push(length as i64);
    }
    Some((values.into_pyarray(py).into_any(), offsets.into_pyarray(py)))
}

fn integer<T: TryFrom<i64>>(item: &Bound<'_, PyAny>) -> Option<T> {
    let value: i64 = item.cast::<PyInt>().ok()?.extract().ok()?;
    T::try_from(value).ok()
}

fn double(item: &Bound<'_, PyAny>) -> Option<f64> {
    let number = item.is_instance_of::<PyFloat>() || item.is_instance_of::<PyInt>();
    if number { item.extract().ok() } else { None }
}

fn single(item: &Bound<'_, PyAny>) -> Option<f32> {
    let wide = double(item)?;
    let value = wide as f32;
    // NumPy warns about an overflow.
    (value.is_finite() || !wide.is_finite()).then_some(value)
}

/// Copies ragged rows of elements of `item` bytes into the rows of `out`, both seen as bytes.
#[pyfunction]
fn pad_rows(
    py: Python<'_>,
    values: PyReadonlyArray1<'_, u8>,
    offsets: PyReadonlyArray1<'_, i64>,
    item: usize,
    mut out: PyReadwriteArray1<'_, u8>,
    columns: usize,
    padding: &str,
    truncating: &str,
) -> PyResult<()> {
    let (padding, truncating) = (side("padding", padding)?, side("truncating", truncating)?);
    let (values, offsets, out) = (values.as_slice()?, row_bounds(&offsets)?, out.as_slice_mut()?);
    detach(py, || text::pad_rows(values, &offsets, item, out, columns, padding, truncating))?.map_err(to_python)
}

/// Fills a zeroed document-term matrix.
#[pyfunction]
fn fill_matrix(
    py: Python<'_>,
    ids: PyReadonlyArray1<'_, i64>,
    offsets: PyReadonlyArray1<'_, i64>,
    mut out: PyReadwriteArray2<'_, f64>,
    mode: &str,
    term: PyReadonlyArray1<'_, f64>,
    document: PyReadonlyArray1<'_, f64>,
) -> PyResult<()> {
    let weighting = match mode {
        "binary" => Weighting::Binary,
        "count" => Weighting::Count,
        "freq" => Weighting::Frequency,
        "tfidf" => Weighting::TfIdf { term: term.as_slice()?, document: document.as_slice()? },
        _ => return Err(to_python(Error::value("mode", "'binary', 'count', 'freq' or 'tfidf'", format!("'{mode}'")))),
    };
    let columns = out.as_array().ncols();
    let (ids, offsets, out) = (ids.as_slice()?, row_bounds(&offsets)?, out.as_slice_mut()?);
    detach(py, || text::fill_matrix(ids, &offsets, columns, weighting, out))?.map_err(to_python)
}

fn side(argument: &str, name: &str) -> PyResult<Side> {
    match name {
        "pre" => Ok(Side::Pre),
        "post" => Ok(Side::Post),
        _ => Err(to_python(Error::value(argument, "'pre' or 'post'", format!("'{name}'")))),
    }
}

/// Runs `work` without the GIL; a bad `FOLIOT_NUM_THREADS` is an error first.
fn detach<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    threads::num_threads().map_err(to_python)?;
    Ok(py.detach(work))
}

/// References of our own: the list may change while the GIL is released.
fn strings<'py>(list: &Bound<'py, PyList>) -> PyResult<Vec<Bound<'py, PyString>>> {
    list.iter().map(|item| Ok(item.cast_into::<PyString>()?)).collect()
}

/// The texts as UTF-8; errors count from `first`. An ASCII string lends its own memory, another one keeps the UTF-8 form
/// that Python makes of it.
fn borrow<'a>(strings: &'a [Bound<'_, PyString>], first: usize) -> PyResult<Vec<&'a str>> {
    strings.iter().enumerate().map(|(index, string)| utf8(string, || format!("texts[{}]", first + index))).collect()
}

/// The string as UTF-8. A lone surrogate has no such form.
fn utf8<'a>(string: &'a Bound<'_, PyString>, argument: impl Fn() -> String) -> PyResult<&'a str> {
    let py = string.py();
    string.to_str().or_else(|error| {
        if !error.is_instance_of::<PyUnicodeEncodeError>(py) {
            return Err(error);
        }
        let place = error.value(py).getattr("start")?;
        let received = format!("the lone surrogate {} at index {place}", string.get_item(&place)?.repr()?);
        Err(to_python(Error::value(argument(), "text that can be encoded as UTF-8", received)))
    })
}

fn row_bounds(offsets: &PyReadonlyArray1<'_, i64>) -> PyResult<Vec<usize>> {
    let bound = |&offset: &i64| {
        usize::try_from(offset).map_err(|_| to_python(Error::value("offsets", "row bounds", offset.to_string())))
    };
    offsets.as_slice()?.iter().map(bound).collect()
}
