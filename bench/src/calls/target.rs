//! What can be loaded with calls, and the question whether the answer is ours.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// Bytes of the answer of the upstream.
pub(crate) const ANSWER_BYTES: usize = 1024;
/// Bytes of an answer that are read to compare it.
const PROBE_BYTES_MAX: usize = 64 * 1024;
/// How long one question may take.
const PROBE_MAX: Duration = Duration::from_secs(5);
/// How long a process may take to answer for the first time.
const START_MAX: Duration = Duration::from_secs(30);
/// How long to wait before a process that starts is asked again.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// A way that a call takes from a client to the upstream.
pub(crate) trait Target {
    /// Its name in the table.
    fn name(&self) -> &'static str;

    /// Where a client sends its calls; a GET is answered with the upstream's answer.
    fn url(&self) -> String;

    /// The header fields of each call.
    fn headers(&self) -> Vec<(String, String)>;

    /// The processes to account for, in the order in which a call passes them; each stands for
    /// itself and all that descend from it.
    fn pids(&self) -> Vec<u32>;
}

/// Returns the header fields with which a client of an X-Road node calls (X-Road PR-REST), for
/// targets that carry them without reading them.
pub(crate) fn usual_headers() -> Vec<(String, String)> {
    let token = "6b61727661".repeat(6);
    let fields = [
        ("X-Road-Client", "AZ/GOV/1400/trade".to_owned()),
        ("Authorization", format!("Bearer {token}")),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Asks until there is an answer, and then whether it is the expected one.
pub(crate) async fn await_answer(target: &dyn Target, expected: &str) -> Result<()> {
    let deadline = Instant::now() + START_MAX;
    loop {
        match connect(&target.url()).await {
            Ok(_) => return check_answer(target, expected).await,
            Err(error) if Instant::now() > deadline => {
                return Err(error.context(format!("{} does not start", target.name())));
            }
            Err(_) => sleep(ASK_EVERY).await,
        }
    }
}

/// Asks once; another answer than the expected one means that another program listens there, or
/// that the way does not lead to our upstream.
pub(crate) async fn check_answer(target: &dyn Target, expected: &str) -> Result<()> {
    let answer = get(&target.url(), &target.headers()).await;
    let answer = answer.with_context(|| format!("{}: GET {}", target.name(), target.url()))?;
    let begin: String = answer.chars().take(200).collect();
    ensure!(
        answer == expected,
        "{} does not answer with the text of our upstream but with: {begin}",
        target.name()
    );
    Ok(())
}

/// Returns the body of the answer to a GET.
pub(crate) async fn get(url: &str, headers: &[(String, String)]) -> Result<String> {
    let asking = ask(Method::GET, url, headers, Vec::new());
    timeout(PROBE_MAX, asking).await.context("no answer in time")?
}

async fn connect(url: &str) -> Result<(TcpStream, Uri)> {
    let uri: Uri = url.parse()?;
    let authority = uri.authority().context("a URL with an authority")?;
    Ok((TcpStream::connect(authority.as_str()).await?, uri))
}

/// Puts a JSON value where an operator does.
pub(crate) async fn put(url: &str, token: &str, value: &Value) -> Result<()> {
    let headers = [
        ("Authorization".to_owned(), format!("Bearer {token}")),
        ("Content-Type".to_owned(), "application/json".to_owned()),
    ];
    let asking = ask(Method::PUT, url, &headers, serde_json::to_vec(value)?);
    let asked = timeout(PROBE_MAX, asking).await.context("no answer in time")?;
    asked.with_context(|| format!("PUT {url}")).map(drop)
}

async fn ask(
    method: Method,
    url: &str,
    headers: &[(String, String)],
    body: Vec<u8>,
) -> Result<String> {
    let (stream, uri) = connect(url).await?;
    let (mut line, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let path = uri.path_and_query().context("a URL with a path")?;
    let mut request = Request::builder().method(method).uri(path.as_str());
    if let Some(authority) = uri.authority() {
        request = request.header(HOST, authority.as_str());
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let answer = line.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), PROBE_BYTES_MAX).collect().await;
    let Ok(body) = body else { bail!("the answer ended early or is too long") };
    connection.abort();
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    ensure!(status.is_success(), "status {status}: {text}");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers one question.
    struct Server(String);

    impl Target for Server {
        fn name(&self) -> &'static str {
            "server"
        }

        fn url(&self) -> String {
            format!("http://{}/path", self.0)
        }

        fn headers(&self) -> Vec<(String, String)> {
            usual_headers()
        }

        fn pids(&self) -> Vec<u32> {
            Vec::new()
        }
    }

    /// Returns what the check says about an answer, and what was asked.
    async fn ask(answer: String) -> (Result<()>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server(listener.local_addr().unwrap().to_string());
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let length = stream.read(&mut asked).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&asked[..length]).to_lowercase()
        });
        let said = check_answer(&server, "our mark").await;
        (said, serving.await.unwrap())
    }

    #[tokio::test]
    async fn only_our_own_answer_will_do() {
        let check = async |status: &str, body: &str, remedy: Option<&str>| {
            let length = body.len();
            let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\n\r\n");
            let (said, asked) = ask(head + body).await;
            let said = said.err().map(|error| format!("{error:#}"));
            let found = said.as_deref().unwrap_or("good");
            assert!(found.contains(remedy.unwrap_or("good")), "{status} {body}: {found}");
            assert!(asked.starts_with("get /path http/1.1\r\n"), "{asked}");
            assert!(asked.contains("\r\nx-road-client: az/gov/1400/trade\r\n"), "{asked}");
        };
        check("200", "our mark", None).await;
        check("200", "our mark and more", Some("not answer with the text of our upstream")).await;
        check("200", "It works!", Some("It works!")).await;
        check("502", "our mark", Some("status 502")).await;
    }
}
