use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const SMALL: Bounds = Bounds { bytes_max: 10, wait_max: Duration::from_mins(1) };

/// A system that writes its answer, again and again the last part when it is endless, and then
/// keeps the connection open. Returns its address.
async fn system(head: &'static str, endless: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut asked = [0; 1024];
        assert_ne!(stream.read(&mut asked).await.expect("a request"), 0);
        stream.write_all(head.as_bytes()).await.expect("is read");
        while let Some(part) = endless {
            if stream.write_all(part.as_bytes()).await.is_err() {
                return;
            }
        }
        // Until the reader hangs up.
        let _ = stream.read(&mut asked).await;
    });
    format!("http://{at}/x")
}

async fn fetch_with(url: &str, bounds: &Bounds) -> Result<Response, Error> {
    fetch(url, &HeaderMap::new(), bounds).await
}

#[tokio::test]
async fn what_is_too_much_or_too_slow_is_refused_with_a_remedy() {
    async fn check(head: &'static str, kind: ErrorKind, text: &str) {
        // Nothing is slow here but the system that never answers.
        let wait = if head.is_empty() { Duration::from_millis(20) } else { SMALL.wait_max };
        let bounds = Bounds { wait_max: wait, ..SMALL };
        let url = system(head, None).await;
        let refused = fetch_with(&url, &bounds).await.expect_err("refused");
        assert_eq!(refused.kind(), kind, "{refused}");
        assert!(refused.to_string().contains(text), "{refused}");
    }
    let large = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n01234567890";
    check(large, ErrorKind::TooLarge, "ask for a part with `Range`").await;
    let failing = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
    check(failing, ErrorKind::PeerUnavailable, "it says 500").await;
    let moved = "HTTP/1.1 302 Found\r\nlocation: /y\r\ncontent-length: 0\r\n\r\n";
    check(moved, ErrorKind::PeerUnavailable, "it says 302").await;
    check("no protocol\r\n\r\n", ErrorKind::PeerUnavailable, "tell the provider").await;
    check("", ErrorKind::PeerUnavailable, "nothing came for 20 ms").await;
}

#[tokio::test]
async fn an_endless_answer_is_cut_off_and_a_full_one_is_not() {
    async fn check(head: &'static str, endless: Option<&'static str>, whole: bool) {
        let url = system(head, endless).await;
        // Only the system that falls silent is slow; its answer has to begin in time all the same.
        let silent = !whole && endless.is_none();
        let wait_max = if silent { Duration::from_secs(2) } else { SMALL.wait_max };
        let answer = fetch_with(&url, &Bounds { wait_max, ..SMALL }).await.expect("it begins");
        let mut body = answer.into_body();
        let (mut len, mut broken) = (0, false);
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => len += frame.data_ref().map_or(0, Bytes::len),
                Err(_) => broken = true,
            }
        }
        assert!(len <= 10, "{len} bytes passed");
        assert_eq!(broken, !whole, "{head:?} {endless:?}");
    }
    check("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789", None, true).await;
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    check(chunked, Some("4\r\n0123\r\n"), false).await;
    check("HTTP/1.1 200 OK\r\n\r\n", Some("0123456789"), false).await;
    // One that begins and then says nothing.
    check("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n01", None, false).await;
}
