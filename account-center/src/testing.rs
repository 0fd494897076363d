//! For tests: an outside party that answers what the test says, and a database.

#[path = "../tests/common/database.rs"]
#[allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]
mod database;

pub(crate) use database::TestDatabase;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

/// What the double was asked.
pub(crate) struct Asked {
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The form in the body, in its order.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.body)
            .into_owned()
            .collect()
    }

    /// The path and the decoded query parameters.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let url = Url::parse("http://double")
            .expect("a URL")
            .join(&self.target)
            .expect("a target");
        url.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// A small HTTP server on loopback; it ends when dropped.
pub(crate) struct HttpDouble {
    url: Url,
    task: JoinHandle<()>,
}

type Answer = dyn Fn(&Asked) -> (u16, String) + Send + Sync;

impl HttpDouble {
    /// Answers each request with what `answer` gives: a status and a body, sent as text/plain.
    pub(crate) async fn start(
        answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        Self::run(Arc::new(answer), Duration::ZERO).await
    }

    /// Takes its time.
    pub(crate) async fn start_slow(delay: Duration) -> Self {
        Self::run(Arc::new(|_: &Asked| (200, "{}".to_owned())), delay).await
    }

    async fn run(answer: Arc<Answer>, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = Url::parse(&format!(
            "http://{}",
            listener.local_addr().expect("an address")
        ))
        .expect("a URL");
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let answer = Arc::clone(&answer);
                open.spawn(async move { serve(stream, &*answer, delay).await });
            }
        });
        Self { url, task }
    }

    pub(crate) fn url(&self) -> Url {
        self.url.clone()
    }
}

impl Drop for HttpDouble {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request, one reply, closed. A body of `DROP` closes without a reply.
async fn serve(mut stream: TcpStream, answer: &Answer, delay: Duration) -> Option<()> {
    let mut bytes = Vec::new();
    let head_end = loop {
        let mut chunk = [0; 4096];
        let read = stream
            .read(&mut chunk)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let target = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect();
    let mut asked = Asked {
        target,
        headers,
        body: bytes[head_end + 4..].to_vec(),
    };
    let length: usize = asked
        .header("content-length")
        .map_or(0, |length| length.parse().expect("a number"));
    while asked.body.len() < length {
        let mut chunk = [0; 4096];
        let read = stream
            .read(&mut chunk)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        asked.body.extend_from_slice(&chunk[..read]);
    }
    tokio::time::sleep(delay).await;
    let (status, body) = answer(&asked);
    if body == "DROP" {
        return None;
    }
    let reply = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nlocation: http://127.0.0.1:9/\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(reply.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}
