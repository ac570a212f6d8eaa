//! One input as several: texts of files, messages, words.

use std::{cell::RefCell, fs, path::Path};

use tempfile::TempDir;

/// Stands between two pieces.
pub(crate) const BETWEEN: &[u8] = b"\n%%\n";

/// The first pieces of an input; what is not there is empty, and the last takes the rest.
pub(crate) fn of<const N: usize>(mut bytes: &[u8]) -> [&[u8]; N] {
    std::array::from_fn(|at| {
        let end = bytes
            .windows(BETWEEN.len())
            .position(|window| window == BETWEEN)
            .filter(|_| at + 1 < N);
        let (piece, rest) = match end {
            Some(end) => (&bytes[..end], &bytes[end + BETWEEN.len()..]),
            None => (bytes, &[][..]),
        };
        bytes = rest;
        piece
    })
}

/// Every piece of an input.
pub(crate) fn all(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    loop {
        let [piece, rest] = of(bytes);
        pieces.push(piece);
        if rest.is_empty() {
            return pieces;
        }
        bytes = rest;
    }
}

/// Works in a folder that is there as long as the thread: to make one each time would take longer than what is tried in it.
pub(crate) fn in_a_folder<T>(work: impl FnOnce(&Path) -> T) -> T {
    thread_local! {
        static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) };
    }
    FOLDER.with_borrow_mut(|kept| {
        let folder = kept.get_or_insert_with(|| TempDir::new().expect("a folder"));
        work(folder.path())
    })
}

/// Writes a file, and the folders above it where they are missing.
pub(crate) fn lay(path: &Path, bytes: &[u8]) {
    if fs::write(path, bytes).is_err() {
        let folder = path.parent().expect("a file is in a folder");
        fs::create_dir_all(folder).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }
}

/// Text of a piece; what is no UTF-8 is replaced.
pub(crate) fn text(piece: &[u8]) -> String {
    String::from_utf8_lossy(piece).into_owned()
}
