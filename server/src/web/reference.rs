//! The API's document as a page. It tells nothing of what is stored, so it is for everybody, as the document is.

use axum::{Extension, extract::State, http::HeaderMap};

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
    let url = state.guard.origin(&headers);
    let url = url.unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    show(&ReferencePage::new(url, asks))
}
