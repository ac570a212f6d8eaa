//! Every route.

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, put},
};
use highwater_wire::codec::MAX_COMPRESSED_BYTES;
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    set_header::SetResponseHeaderLayer,
    trace::TraceLayer,
};

use crate::{
    access::{Access, Asks, Scope},
    api,
    config::is_loopback,
    error::AppError,
    fresh, ingest, metrics,
    state::AppState,
    web,
};

/// Nothing but what this server serves itself; no inline script or style.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// For a site that browsers reach over TLS: half a year.
const TLS_ONLY: &str = "max-age=15768000";

pub(crate) fn router(state: AppState) -> Router {
    let api = Router::new()
        .route("/api/v1/jobs/{uuid}", put(ingest::put_job).get(api::job))
        .route(
            "/api/v1/jobs/{uuid}/streams/{stream}/batches/{seq}",
            put(ingest::put_batch),
        )
        .route("/api/v1/jobs/{uuid}/end", put(ingest::put_end))
        .route("/api/v1/jobs/{uuid}/processes", get(api::processes))
        .route("/api/v1/jobs/{uuid}/files", get(api::files))
        .route("/api/v1/jobs/{uuid}/tests", get(api::tests))
        .route("/api/v1/jobs/{uuid}/fixtures", get(api::fixtures))
        .route("/api/v1/jobs/{uuid}/check", get(api::check))
        .route("/api/v1/jobs/{uuid}/series", get(api::series))
        .route(
            "/api/v1/jobs/{uuid}/plan",
            get(api::plan).post(api::keep_plan),
        )
        .route("/api/v1/jobs/{uuid}/live", get(api::live))
        .route("/api/v1/jobs/{uuid}/pin", put(api::pin).delete(api::unpin))
        .route("/api/v1/jobs/{uuid}/export", get(api::export))
        .route("/api/v1/jobs/{uuid}/report", get(api::report))
        .route("/api/v1/plans/{id}", get(api::kept_plan))
        .route("/api/v1/projects", get(api::projects))
        .route("/api/v1/projects/{project}/runs", get(api::runs))
        .route("/api/v1/projects/{project}/jobs", get(api::project_jobs))
        .route(
            "/api/v1/projects/{project}/files/{*path}",
            get(api::file_history),
        )
        .route("/api/v1/compare", get(api::compare))
        .route("/api/v1/projects/{project}/changes", get(api::changes))
        .route(
            "/api/v1/projects/{project}/changes/{*path}",
            get(api::changes_of_file),
        )
        .route(
            "/api/v1/projects/{project}/acknowledgements",
            get(api::acknowledgements).post(api::acknowledge),
        )
        .route(
            "/api/v1/projects/{project}/acknowledgements/{id}",
            delete(api::withdraw),
        )
        .route("/api/v1/access", get(api::access))
        .route("/api/v1/openapi.json", get(api::document))
        .route("/api/{*rest}", axum::routing::any(unknown));
    let header = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    let is_over_tls = state.guard.has_secure_cookies;
    let router = Router::new()
        .merge(api)
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(figures))
        .merge(web::routes())
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(MAX_COMPRESSED_BYTES))
        .layer(middleware::from_fn_with_state(
            state.clone(),
            fresh::confirm,
        ))
        .layer(middleware::from_fn(no_other_site))
        .layer(middleware::from_fn_with_state(
            state.clone(),
            loopback_names_only,
        ))
        .layer(header(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::REFERRER_POLICY, "same-origin"))
        .layer(header(header::X_FRAME_OPTIONS, "DENY"))
        .layer(header(OPENER_POLICY, "same-origin"))
        .layer(header(RESOURCE_POLICY, "same-origin"))
        // What one may see another may not: nothing between here and the browser keeps it.
        .layer(header(header::CACHE_CONTROL, "private, no-cache"))
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::custom(|_| {
            AppError::internal(&"a handler panicked").into_response()
        }))
        .layer(middleware::from_fn_with_state(
            state.clone(),
            metrics::observe,
        ))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                // What failed is told by whoever knows why, and once where it concerns everybody.
                .on_failure(()),
        )
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid));
    let router = if is_over_tls {
        router.layer(header(header::STRICT_TRANSPORT_SECURITY, TLS_ONLY))
    } else {
        router
    };
    router.with_state(state)
}

/// What every line of the log about a request says: the answer has the same id.
fn span(request: &axum::http::Request<axum::body::Body>) -> tracing::Span {
    let id = request.headers().get("x-request-id");
    let id = id.and_then(|id| id.to_str().ok()).unwrap_or("");
    tracing::info_span!("request", id, method = %request.method(), path = request.uri().path())
}

async fn unknown(request: Request) -> AppError {
    let what = format!(
        "{} {} is no route of this API",
        request.method(),
        request.uri().path()
    );
    AppError::not_found(what, "see /api, or /api/v1/openapi.json for programs")
}

async fn not_allowed(request: Request) -> AppError {
    AppError::method_not_allowed(format!(
        "{} does not go with {}",
        request.method(),
        request.uri().path()
    ))
}

/// A page of another site can make a browser send requests here; those that would change something are refused. What a browser says of
/// where a request comes from no page can forge; who says nothing is no browser.
async fn no_other_site(request: Request, next: Next) -> Response {
    if request.method().is_safe() || is_of_no_other_site(request.headers()) {
        next.run(request).await
    } else {
        unread(AppError::cross_origin())
    }
}

/// Refuses a request of which the body was not read: what comes next on that connection would be the rest of it.
fn unread(error: AppError) -> Response {
    let close = HeaderValue::from_static("close");
    ([(header::CONNECTION, close)], error).into_response()
}

fn is_of_no_other_site(headers: &HeaderMap) -> bool {
    let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    match (header(FETCH_SITE), header(header::ORIGIN)) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let from = origin.split_once("://").map(|(_, from)| from);
            from.is_some() && from == header(header::HOST)
        }
        (None, None) => true,
    }
}

/// A page of another site can make a browser send requests to this machine under a name of its own. Where nobody is asked for a token, such a
/// name is refused; where one is asked for, the browser has none for that name.
async fn loopback_names_only(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    // A store that does not answer is told by whoever needs it; that the process lives is told all the same.
    let Ok(asks) = state.guard.is_up(&state.store).await else {
        return next.run(request).await;
    };
    request.extensions_mut().insert(Asks(asks));
    if asks {
        return next.run(request).await;
    }
    let host = request.uri().host().or_else(|| {
        request
            .headers()
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
    });
    let name = host.map_or("", |host| match host.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    });
    if is_loopback(name) {
        next.run(request).await
    } else {
        unread(AppError::forbidden_host())
    }
}

async fn ready(State(state): State<AppState>) -> Result<&'static str, AppError> {
    state.store.ping().await?;
    match state.store.trouble() {
        Some(trouble) => Err(AppError::unwritten(trouble)),
        None => Ok("ready\n"),
    }
}

/// Counts over all projects, so for those who may see all of them.
async fn figures(
    State(state): State<AppState>,
    access: Access,
) -> Result<impl IntoResponse, AppError> {
    if !access.may_everywhere(Scope::Read) {
        let what = "the figures of this server are for a token of every project";
        return Err(access.hidden(AppError::forbidden(what)));
    }
    let (jobs, unsettled) = state.store.job_counts().await?;
    let (waiting, dropped) = state.store.delivery_counts().await?;
    let stored = metrics::Stored {
        jobs,
        unsettled,
        waiting,
        dropped,
    };
    let text = state.metrics.tell(&state, stored);
    let text = text.map_err(|error| AppError::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, metrics::KIND)], text))
}
