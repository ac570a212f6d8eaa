//! What a browser or a program has already: nearly everything that is shown of a settled job changes with its revision only, so an answer of
//! before is confirmed by 304 and not made again. What sets it beside other jobs changes with these: that is made again, and sent only where it differs.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::LazyLock,
    time::UNIX_EPOCH,
};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri, header, request::Parts, uri::PathAndQuery,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use uuid::Uuid;

use crate::{
    access::{Access, Resolved},
    error::AppError,
    state::AppState,
};

/// The program that answers: another one may show the same job in another way. By its file, so that it is the same after a restart.
static PROGRAM: LazyLock<u64> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    let about = std::env::current_exe().and_then(std::fs::metadata);
    if let Ok(about) = about {
        about.len().hash(&mut hasher);
        let changed = about.modified().ok();
        let changed = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        changed.hash(&mut hasher);
    }
    hasher.finish()
});

/// Gives what is shown of a settled job a tag, and answers 304 to whoever has it.
pub(crate) async fn confirm(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let is_beside_others = is_beside_others(&request);
    match tag(&state, &mut request).await {
        Ok(Some(tag)) if is_beside_others => by_content(request, next, &tag).await,
        Ok(Some(tag)) if is_known(request.headers(), &tag) => {
            (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response()
        }
        Ok(Some(tag)) => {
            // Read before the answer is made: where the job changes in between, what is newer goes under the older tag, and is asked for again.
            let mut answer = next.run(request).await;
            if answer.status().is_success() {
                answer.headers_mut().insert(header::ETAG, tag);
            }
            answer
        }
        // Whatever is wrong, the handler says it.
        Ok(None) | Err(_) => next.run(request).await,
    }
}

fn is_beside_others(request: &Request) -> bool {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("", MatchedPath::as_str);
    matches!(route, "/jobs/{uuid}" | "/jobs/{uuid}/plan")
        || route.ends_with("/{uuid}/check")
        || route.ends_with("/{uuid}/report")
}

/// Answers with a tag made of the answer itself, behind the revision that a tag begins with.
async fn by_content(request: Request, next: Next, tag: &HeaderValue) -> Response {
    let headers = request.headers().clone();
    let (mut head, body) = next.run(request).await.into_parts();
    if !head.status.is_success() {
        return Response::from_parts(head, body);
    }
    // It lies in memory already.
    let body = match axum::body::to_bytes(body, usize::MAX).await {
        Ok(body) => body,
        Err(error) => return AppError::internal(&error).into_response(),
    };
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let tag = tag.to_str().unwrap_or_default();
    let revision = tag.split('-').next().unwrap_or_default();
    let tag = format!("{revision}-{:016x}\"", hasher.finish());
    let Ok(tag) = HeaderValue::from_str(&tag) else {
        return Response::from_parts(head, body.into());
    };
    if is_known(&headers, &tag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    head.headers.insert(header::ETAG, tag);
    Response::from_parts(head, body.into())
}

/// The tag of what is asked for, where that is of a settled job that whoever asks may see.
async fn tag(state: &AppState, request: &mut Request) -> Result<Option<HeaderValue>, AppError> {
    let is_stream = request.uri().path().ends_with("/live");
    if is_stream || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(None);
    }
    let route = request.extensions().get::<MatchedPath>();
    if !route.is_some_and(|route| route.as_str().contains("/jobs/{uuid}")) {
        return Ok(None);
    }
    let path = request.uri().path();
    let rest = path
        .strip_prefix("/api/v1")
        .unwrap_or(path)
        .strip_prefix("/jobs/");
    let uuid = rest.and_then(|rest| Uuid::parse_str(rest.split('/').next()?).ok());
    let Some(uuid) = uuid else { return Ok(None) };
    let mut parts = head_of(request);
    let access = Access::from_request_parts(&mut parts, state).await;
    request.extensions_mut().insert(Resolved(access.clone()));
    let access = access?;
    let key = state.store.snapshot().await?.job(uuid).await?;
    let key = key.filter(|key| {
        access.may_read(&key.project, key.public) && !key.unsettled && key.revision > 0
    });
    let Some(key) = key else { return Ok(None) };
    let mut hasher = DefaultHasher::new();
    (
        *PROGRAM,
        request.uri().path_and_query().map(PathAndQuery::as_str),
        access.is_nobody(),
        // What changes without being finalised again.
        (
            key.pinned,
            key.pages_removed_unix_us,
            key.detail_removed_unix_us,
        ),
    )
        .hash(&mut hasher);
    let text = format!("W/\"{}-{:016x}\"", key.revision, hasher.finish());
    Ok(HeaderValue::from_str(&text).ok())
}

/// What stands before the body of a request.
fn head_of(request: &Request) -> Parts {
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.uri().clone();
    *head.headers_mut() = request.headers().clone();
    *head.extensions_mut() = request.extensions().clone();
    head.into_parts().0
}

/// The tag of something that is kept as it was made: it changes with the program that tells it alone.
pub(crate) fn of_kept(asked: &Uri, id: Uuid, created_unix_us: i64) -> Option<HeaderValue> {
    let mut hasher = DefaultHasher::new();
    let asked = asked.path_and_query().map(PathAndQuery::as_str);
    (*PROGRAM, asked, created_unix_us).hash(&mut hasher);
    HeaderValue::from_str(&format!("W/\"{id}-{:016x}\"", hasher.finish())).ok()
}

pub(crate) fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| known.trim() == "*" || known.trim().as_bytes() == tag.as_bytes())
}
