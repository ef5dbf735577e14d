//! regularizers
