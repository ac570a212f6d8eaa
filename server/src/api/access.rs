//! What whoever asks may do here.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    access::{Access, Grant},
    error::{AppError, ErrorEnvelope},
};

/// What a request may do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccessReport {
    /// True where this server asks nobody for a token: everything may be done.
    open: bool,
    /// What the token allows.
    grants: Vec<GrantItem>,
}

/// One thing that a token allows.
#[derive(Debug, Serialize, ToSchema)]
struct GrantItem {
    /// `owner/repo`; null means every project.
    project: Option<String>,
    /// `ingest`, `read` or `admin`.
    scope: &'static str,
}

impl From<Grant> for GrantItem {
    fn from(grant: Grant) -> Self {
        Self {
            project: grant.project,
            scope: grant.scope.as_str(),
        }
    }
}

/// What the token of this request allows.
#[utoipa::path(get, path = "/api/v1/access", tag = "access",
    responses((status = 200, body = AccessReport), (status = 401, body = ErrorEnvelope), (status = 429, body = ErrorEnvelope)))]
pub(crate) async fn access(access: Access) -> Result<Json<AccessReport>, AppError> {
    let nobody = AppError::unauthorised("this server asks for a token");
    if access.is_nobody() {
        return Err(nobody);
    }
    let (open, grants) = match access {
        Access::Open => (true, Vec::new()),
        Access::Guarded(grants) => (false, grants),
    };
    Ok(Json(AccessReport {
        open,
        grants: grants.into_iter().map(GrantItem::from).collect(),
    }))
}
