//! Answers that may be asked for in parts: `Range`, `If-Range`, tags (RFC 9110, sections 13, 14).

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE,
};
use http::{HeaderMap, HeaderName, StatusCode};

/// Something that is served: what it is, how long, and the tag of its content.
pub(super) struct Content<'a> {
    pub(super) media_type: &'a str,
    pub(super) len: u64,
    pub(super) tag: String,
}

/// Answers with all of a content, or the part that is asked for; `body` makes the body from the
/// first byte to before the second.
pub(super) fn answer(
    headers: &HeaderMap,
    content: Content<'_>,
    body: impl FnOnce(u64, u64) -> Body,
) -> Response {
    let Content { media_type, len, tag } = content;
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let current = text(&IF_RANGE).is_none_or(|known| known == tag);
    let range = text(&RANGE).filter(|_| current).map(|range| parse_range(range, len));
    let (status, from, end) = match range {
        None | Some(Asked::All) => (StatusCode::OK, 0, len),
        Some(Asked::Part(from, end)) => (StatusCode::PARTIAL_CONTENT, from, end),
        Some(Asked::Outside) => {
            let range = [(CONTENT_RANGE, format!("bytes */{len}"))];
            return (StatusCode::RANGE_NOT_SATISFIABLE, range).into_response();
        }
    };
    let mut answer = (
        status,
        [
            (CONTENT_TYPE, media_type.to_owned()),
            (ETAG, tag),
            (ACCEPT_RANGES, "bytes".to_owned()),
            (CONTENT_LENGTH, (end - from).to_string()),
        ],
        body(from, end),
    )
        .into_response();
    if status == StatusCode::PARTIAL_CONTENT {
        let last = end.saturating_sub(1);
        if let Ok(range) = format!("bytes {from}-{last}/{len}").parse() {
            answer.headers_mut().insert(CONTENT_RANGE, range);
        }
    }
    answer
}

/// What a `Range` field asks for.
#[derive(Debug, Eq, PartialEq)]
enum Asked {
    All,
    /// From the first byte to before the second.
    Part(u64, u64),
    Outside,
}

/// Reads a `Range` field (RFC 9110, section 14.2); one that is not a single range of bytes is
/// passed over.
fn parse_range(text: &str, len: u64) -> Asked {
    let Some((from, last)) = text.strip_prefix("bytes=").and_then(|spec| spec.split_once('-'))
    else {
        return Asked::All;
    };
    match (from.parse::<u64>(), last.parse::<u64>()) {
        (Ok(from), _) if from >= len => Asked::Outside,
        (Ok(from), Ok(last)) if last >= from => Asked::Part(from, (last + 1).min(len)),
        (Ok(from), Err(_)) if last.is_empty() => Asked::Part(from, len),
        (Err(_), Ok(0)) if from.is_empty() => Asked::Outside,
        (Err(_), Ok(suffix)) if from.is_empty() => Asked::Part(len.saturating_sub(suffix), len),
        _ => Asked::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ten_bytes() {
        let check = |text, expected| assert_eq!(parse_range(text, 10), expected, "{text}");
        check("bytes=0-3", Asked::Part(0, 4));
        check("bytes=4-", Asked::Part(4, 10));
        check("bytes=-3", Asked::Part(7, 10));
        check("bytes=-30", Asked::Part(0, 10));
        check("bytes=8-30", Asked::Part(8, 10));
        check("bytes=10-", Asked::Outside);
        check("bytes=-0", Asked::Outside);
        check("bytes=4-2", Asked::All);
        check("bytes=0-1,3-4", Asked::All);
        check("lines=0-1", Asked::All);
        check("bytes=x-1", Asked::All);
    }
}
