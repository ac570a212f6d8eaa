//! What a server answers, read as what was asked for.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::shipper::Client;

/// No list that is asked for has more rows.
const MOST_ROWS: usize = 200_000;

/// An answer as what it is to be, or why it is not.
pub(super) fn understood<T: DeserializeOwned>(answer: &str) -> Result<T, String> {
    serde_json::from_str(answer)
        .map_err(|error| format!("what it answers is not understood: {error}"))
}

/// A list that comes page by page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pages {
    /// Rows of a page.
    pub(super) rows: usize,
    /// How long the server may take for one.
    pub(super) patience: Duration,
    /// What one may weigh, bytes.
    pub(super) most_bytes: u64,
}

impl Pages {
    /// All rows at a path, or why they are not told: that the pages have an end is not left to the server.
    pub(super) fn all<P: DeserializeOwned, R>(
        self,
        client: &Client,
        path: &str,
        open: impl Fn(P) -> (Vec<R>, Option<String>),
    ) -> Result<Vec<R>, String> {
        let read = |address: &str| client.read(address, self.patience, self.most_bytes);
        all(read, path, self.rows, open)
    }
}

fn all<P: DeserializeOwned, R>(
    read: impl Fn(&str) -> Result<String, String>,
    path: &str,
    limit: usize,
    open: impl Fn(P) -> (Vec<R>, Option<String>),
) -> Result<Vec<R>, String> {
    let mut rows = Vec::new();
    let mut after = String::new();
    loop {
        let page = read(&format!("{path}?limit={limit}{after}"))?;
        let (more, next) = open(understood(&page)?);
        let has_more = !more.is_empty();
        rows.extend(more);
        let Some(next) = next else {
            return Ok(rows);
        };
        let is_key = next
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte));
        let next = format!("&after={next}");
        if !has_more || !is_key || next == after || rows.len() >= MOST_ROWS {
            return Err(format!("the list at {path} has no end that can be reached"));
        }
        after = next;
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Page {
        rows: Vec<u32>,
        next: Option<String>,
    }

    fn read(pages: impl Fn(&str) -> &'static str) -> Result<Vec<u32>, String> {
        let answer = |address: &str| Ok(pages(address).to_owned());
        all(answer, "/list", 2, |page: Page| (page.rows, page.next))
    }

    #[test]
    fn pages_are_read_to_their_end() {
        let rows = read(|address| match address {
            "/list?limit=2" => r#"{"rows": [1, 2], "next": "b"}"#,
            "/list?limit=2&after=b" => r#"{"rows": [3], "next": null}"#,
            other => panic!("{other}"),
        });
        assert_eq!(rows.unwrap(), [1, 2, 3]);
    }

    #[test]
    fn a_list_without_an_end_is_not_followed() {
        for endless in [
            r#"{"rows": [1], "next": "same"}"#,
            r#"{"rows": [], "next": "other"}"#,
            r#"{"rows": [1], "next": "a&project=other"}"#,
        ] {
            let why = read(|_| endless).unwrap_err();
            assert!(why.contains("/list has no end"), "{why}");
        }
    }
}
