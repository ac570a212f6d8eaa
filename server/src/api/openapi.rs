//! The OpenAPI document.

use axum::Json;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self, ContentBuilder, Ref, RefOr, ResponseBuilder,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{access, export, jobs, live, pins, projects, series};
use crate::ingest;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Highwater",
        description = "Memory of pytest runs: recordings in, answers out. Sizes are bytes, durations microseconds."
    ),
    paths(
        ingest::put_job,
        ingest::put_batch,
        ingest::put_end,
        projects::projects,
        projects::runs,
        projects::jobs,
        projects::file_history,
        jobs::job,
        jobs::processes,
        jobs::files,
        jobs::tests,
        jobs::fixtures,
        series::series,
        pins::pin,
        pins::unpin,
        export::export,
        access::access,
        live::live,
    ),
    security((), ("token" = [])),
    modifiers(&Token, &Refusals)
)]
struct Document;

/// The token that a server may ask for.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "A token of `highwater-server token create`, or an identity token of the CI where the server takes these. A server that has no \
                 tokens asks for none.",
            ))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// The refusals that every route under the API shares.
struct Refusals;

impl Modify for Refusals {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let refusals = [
            (
                "401",
                "a token is asked for, or the one sent does not count",
            ),
            (
                "403",
                "the token is for something else, or the request comes from a page of another site",
            ),
            ("429", "too many wrong tokens came from this address"),
            ("500", "the server failed; its log says more"),
            (
                "503",
                "the store cannot take or tell this now; `Retry-After` says when to come again",
            ),
        ];
        let items = document.paths.paths.values_mut();
        let operations = items.flat_map(|item| {
            [
                &mut item.get,
                &mut item.put,
                &mut item.post,
                &mut item.delete,
            ]
        });
        for operation in operations.filter_map(Option::as_mut) {
            for (status, description) in refusals {
                let refusal = ResponseBuilder::new().description(description).content(
                    "application/json",
                    ContentBuilder::new()
                        .schema(Some(Ref::from_schema_name("ErrorEnvelope")))
                        .build(),
                );
                let responses = &mut operation.responses.responses;
                responses
                    .entry(status.to_owned())
                    .or_insert_with(|| RefOr::T(refusal.build()));
            }
        }
    }
}

/// The OpenAPI 3.1 document of this server.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

pub(crate) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(openapi())
}
