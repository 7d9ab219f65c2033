//! A connection whose other side must take what it is sent.
//!
//! A system that asks and does not read would keep its answer in memory or on disk for as long as
//! it likes. Here writing that gets nowhere for a time ends the connection.
//!
//! Invariant: a write that goes through at once, as nearly all do, costs neither timer nor
//! allocation; a connection has at most one timer.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A stream that fails when writing to it gets nowhere for too long.
pub(crate) struct Patient<S> {
    stream: S,
    within: Duration,
    /// Made when a write has to wait for the first time.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl<S> Patient<S> {
    /// Takes a stream; `within` is how long a write may get nowhere.
    pub(crate) const fn new(stream: S, within: Duration) -> Self {
        Self { stream, within, timer: None, waiting: false }
    }

    /// Looks at the time when writing waits.
    fn judge<T>(&mut self, cx: &mut Context<'_>, step: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if step.is_ready() {
            self.waiting = false;
            return step;
        }
        let until = Instant::now() + self.within;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if !self.waiting {
            self.waiting = true;
            timer.as_mut().reset(until);
        }
        match timer.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                let text = format!("nothing was taken for {:?}", self.within);
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let step = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, step)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let step = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.judge(cx, step)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let step = Pin::new(&mut self.stream).poll_flush(cx);
        // What was flushed already says nothing of a write that waits.
        if step.is_ready() && self.waiting { step } else { self.judge(cx, step) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let step = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.judge(cx, step)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const WITHIN: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn who_reads_now_and_then_keeps_the_connection() {
        let (near, mut far) = tokio::io::duplex(16);
        let mut stream = Patient::new(near, WITHIN);
        let writing = async move { stream.write_all(&[7; 160]).await };
        let reading = async {
            let mut piece = [0; 16];
            for _ in 0..10 {
                tokio::time::sleep(WITHIN.mul_f32(0.9)).await;
                far.read_exact(&mut piece).await.expect("bytes");
            }
        };
        tokio::join!(writing, reading).0.expect("written");
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_loses_it() {
        let (near, far) = tokio::io::duplex(16);
        let mut stream = Patient::new(near, WITHIN);
        stream.write_all(&[7; 16]).await.expect("there is room");
        let began = Instant::now();
        let error = stream.write_all(&[7; 16]).await.expect_err("nobody reads");
        assert_eq!((error.kind(), began.elapsed()), (io::ErrorKind::TimedOut, WITHIN));
        drop(far);
    }
}
