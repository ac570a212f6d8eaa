//! Tells addresses outside of what became of jobs: deaths, and what got worse.
//!
//! Rooms: `secret` signs; `reach` says where a post may lead, `post` makes one; `tries` says what becomes of it; `news` finds what is to be told of a job
//! that was finalised, `sending` sends what waits.
//!
//! Settling a job only leaves a note in the same transaction. Everything else, to look whether there is something to tell and to tell it, happens beside
//! it, from the database: whatever an address does, it holds nothing up, and a server that is killed goes on with it after its next start.

mod news;
mod post;
mod reach;
mod secret;
mod sending;
mod tries;

pub(crate) use news::{TOLD_WITHIN, tell_for_ever};
pub(crate) use post::post;
pub(crate) use reach::{Destination, Found};
pub(crate) use secret::Secret;
pub(crate) use sending::send_for_ever;
pub(crate) use tries::{CLAIMED_FOR_US, once};
