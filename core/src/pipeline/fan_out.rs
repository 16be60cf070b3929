//! From one stage to those behind it.

use super::{StopOn, Together};
use crate::{cancel::Cancel, source::Piece};
use flume::{SendTimeoutError, Sender};

/// Gives every piece to each of the stages behind, in the same order.
#[derive(Debug)]
pub(super) struct FanOut {
    outlets: Vec<Outlet>,
    together: Together,
}

/// The way to one stage.
#[derive(Debug)]
pub(super) struct Outlet {
    /// `None` once it takes nothing any more.
    pieces: Option<Sender<Piece>>,
    /// Set when it is left behind: it may be waiting for its peer.
    left_behind: Cancel,
}

impl Outlet {
    pub(super) fn new(pieces: Sender<Piece>, left_behind: Cancel) -> Self {
        Self { pieces: Some(pieces), left_behind }
    }

    /// Whether it took the piece.
    fn send(&self, piece: Piece, together: Together) -> bool {
        let Some(pieces) = &self.pieces else { return false };
        let Some(patience) = together.patience else { return pieces.send(piece).is_ok() };
        let sent = pieces.send_timeout(piece, patience);
        if matches!(sent, Err(SendTimeoutError::Timeout(_))) {
            self.left_behind.cancel();
        }
        sent.is_ok()
    }
}

impl FanOut {
    pub(super) fn new(outlets: Vec<Outlet>, together: Together) -> Self {
        Self { outlets, together }
    }

    /// To a single stage, which is waited for.
    pub(super) fn to_one(pieces: Sender<Piece>) -> Self {
        Self::new(vec![Outlet::new(pieces, Cancel::new())], Together::ALL_OR_NONE)
    }

    /// Whether there is no stage behind.
    pub(super) fn is_empty(&self) -> bool {
        self.outlets.is_empty()
    }

    /// Hands `piece` on; false when it makes no sense to go on.
    pub(super) fn send(&mut self, piece: &Piece) -> bool {
        for outlet in &mut self.outlets {
            if outlet.pieces.is_some() && !outlet.send(piece.clone(), self.together) {
                outlet.pieces = None;
            }
        }
        let left = self.outlets.iter().filter(|outlet| outlet.pieces.is_some()).count();
        left > 0 && (self.together.stop_on != StopOn::AnyFailure || left == self.outlets.len())
    }
}
