//! A body that comes over the network: a task receives it, a blocking thread reads it.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{GetOptions, GetResult, ObjectStore};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::server_answer::ServerAnswer;
use super::{FileInfo, SourceError};

/// So many pieces wait for the reader; a piece is at most about 400 KiB, mostly far less.
const PIECES_IN_FLIGHT: usize = 8;

/// A file's store and its path there.
pub(super) type StoredObject = (Arc<dyn ObjectStore>, Path);

/// A body on its way: a task receives it, a blocking thread reads it. Dropping it ends the task.
#[derive(Debug)]
pub(super) struct Download {
    pieces: mpsc::Receiver<Result<Bytes, SourceError>>,
    piece: Bytes,
    task: AbortHandle,
}

impl Download {
    /// Begins to receive the body of an answer.
    pub(super) fn start(object: StoredObject, got: GetResult, info: FileInfo, runtime: &Handle) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES_IN_FLIGHT);
        let task = runtime.spawn(receive(object, got.into_stream(), info, sender)).abort_handle();
        Self { pieces, piece: Bytes::new(), task }
    }

    /// The task that receives the body.
    pub(super) fn task(&self) -> AbortHandle {
        self.task.clone()
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => return Err(error.into_io()),
                None => return Ok(0),
            }
        }
        let n = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}

/// Hands a body on, piece by piece. The store resumes one that breaks off, if the server names its version by an
/// `ETag`, and gives up after so many times; here it begins anew as long as something more has come.
async fn receive(
    (store, path): StoredObject,
    mut body: BoxStream<'static, object_store::Result<Bytes>>,
    info: FileInfo,
    pieces: mpsc::Sender<Result<Bytes, SourceError>>,
) {
    let (mut got, mut got_before) = (0, 0);
    while let Some(piece) = body.next().await {
        let piece = match piece {
            Ok(piece) => {
                got += piece.len() as u64;
                Ok(piece)
            }
            Err(error) => {
                if got > got_before
                    && let Some(rest) = rest_of(&*store, &path, &info, got).await
                {
                    (body, got_before) = (rest, got);
                    continue;
                }
                Err(broken(&*store, &path, &info, got, &error).await)
            }
        };
        let failed = piece.is_err();
        if pieces.send(piece).await.is_err() || failed {
            return;
        }
    }
}

/// What is missing of a body, if it is still of the same version.
async fn rest_of(
    store: &dyn ObjectStore,
    path: &Path,
    info: &FileInfo,
    got: u64,
) -> Option<BoxStream<'static, object_store::Result<Bytes>>> {
    let (Some(etag), Some(bytes)) = (&info.etag, info.bytes) else { return None };
    let range = (got < bytes).then(|| GetOptions::new().with_range(Some(got..bytes)))?;
    let rest = store.get_opts(path, range).await.ok()?;
    (rest.meta.e_tag.as_ref() == Some(etag) && rest.meta.size == bytes).then(|| rest.into_stream())
}

/// Why a body broke off for good. The store gives up on a changed `ETag` too, without saying so.
async fn broken(
    store: &dyn ObjectStore,
    path: &Path,
    info: &FileInfo,
    got: u64,
    error: &object_store::Error,
) -> SourceError {
    let url = info.url.clone();
    if info.etag.is_some()
        && let Ok(now) = store.get_opts(path, GetOptions::new().with_head(true)).await
        && now.meta.e_tag != info.etag
    {
        return SourceError::Changed { url };
    }
    let ServerAnswer { why, temporary, until, .. } = ServerAnswer::of(error);
    SourceError::Broken { url, got, announced: info.bytes, why, temporary, until }
}
