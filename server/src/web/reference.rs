//! The API's document as a page. It tells nothing of what is stored, so it is for everybody, as the document is.

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, header},
};

use super::{Page, show};
use crate::{access::Asks, state::AppState, views::reference::ReferencePage};

pub(super) async fn reference(
    State(state): State<AppState>,
    asks: Option<Extension<Asks>>,
    headers: HeaderMap,
) -> Page {
    let asks = match asks {
        Some(Extension(Asks(asks))) => asks,
        None => state.guard.is_up(&state.store).await?,
    };
    let url = state.guard.public_url.clone();
    let url = url.unwrap_or_else(|| format!("http://{}", host(&headers)));
    show(&ReferencePage::new(url, asks))
}

/// The name under which whoever asks reaches this server, where it can be one.
fn host(headers: &HeaderMap) -> &str {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let can_be = |host: &&str| {
        let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        !host.is_empty() && host.bytes().all(is_usual)
    };
    host.filter(can_be).unwrap_or("127.0.0.1:8080")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn an_example_names_only_a_host_that_can_be_one() {
        let table = [
            ("127.0.0.1:9090", "127.0.0.1:9090"),
            ("[::1]:80", "[::1]:80"),
            ("build.example", "build.example"),
            ("", "127.0.0.1:8080"),
            ("a';reboot;'", "127.0.0.1:8080"),
            ("a$(reboot)", "127.0.0.1:8080"),
        ];
        for (given, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(given));
            assert_eq!(host(&headers), expected, "{given}");
        }
    }
}
